"""Where a secret is: the only way in which a policy speaks of one."""

from typing import Annotated

from pydantic import StringConstraints

from controller.policy.scalars import AbsolutePath
from controller.policy.section import Section

__all__ = ["EnvironmentName", "EnvironmentNames", "SecretReference"]

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$", max_length=128)]


class SecretReference(Section):
    """Where a secret is; the secret itself never stands in a policy."""

    host_file: AbsolutePath | None = None
    """A file on the host."""
    host_env: EnvironmentName | None = None
    """A variable of the agent on the host."""
    controller_file: AbsolutePath | None = None
    """A file on the controller, in a folder that controller.yaml allows."""
    controller_env: EnvironmentName | None = None
    """A variable of the controller, with a prefix that controller.yaml allows."""


class EnvironmentNames(Section):
    """Names of variables that are handed on without being read here."""

    host_env: tuple[EnvironmentName, ...] = ()
    """Variables of the agent on the host."""
