"""Secrets that a policy refers to: where controller.yaml lets them come from, and for which destinations.

A reference is good only where an entry of `secrets` covers its place and names its destination: whoever
may write a policy could otherwise have any file of the controller sent anywhere. Places are compared after
symbolic links and `..` are resolved. What is read never stands in an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from controller.errors import ControllerError, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Destination",
    "Reference",
    "Resolve",
    "SecretName",
    "SecretSource",
    "SecretSources",
    "named",
    "no_secret",
    "shown",
    "unshown",
]

Destination = Literal["mail", "identity_providers", "clients", "proxmox", "proxmox_tokens"]
"""What a secret may be used for: realm.mail, identity providers, OpenID clients, the realm of Proxmox, and
the tokens of people on Proxmox, whose secrets are written and not read."""

_LARGEST_BYTES = 64 * 1024
_HINT = "an entry of `secrets` in controller.yaml says which files and variables may go where"


class Reference(Protocol):
    """Where a secret is: a file or a variable of the controller."""

    @property
    def controller_file(self) -> str | None:
        """An absolute path."""
        ...

    @property
    def controller_env(self) -> str | None:
        """A variable's name."""
        ...


Resolve: TypeAlias = "Callable[[Reference, Destination], str]"
"""What writers get to turn a reference into the secret; raises Refused, ControllerError."""


@dataclass(frozen=True)
class SecretName:
    """A reference, taken from its name."""

    controller_file: str | None = None
    controller_env: str | None = None

    @classmethod
    def of(cls, text: str) -> SecretName:
        """What `named` made a text of. Raises ControllerError for a text that it did not make."""
        kind, _, place = text.partition(":")
        if kind not in cls.__dataclass_fields__ or not place:
            raise ControllerError(f"{text!r} names no secret", hint="controller_file:/… or controller_env:…")
        return cls(**{kind: place})


@dataclass(frozen=True)
class SecretSource:
    """A folder of files, or a prefix of variables (the other one is ""), and where they may go."""

    files: str
    env: str
    destinations: frozenset[Destination]


@dataclass(frozen=True)
class SecretSources:
    """All sources of a controller, with its environment."""

    sources: Sequence[SecretSource]
    environ: Mapping[str, str]

    def read(self, reference: Reference, destination: Destination) -> str:
        """The secret, without the line end.

        Raises Refused for a place that is not allowed, ControllerError for one that holds no secret.
        """
        if reference.controller_env:
            return self._variable(reference.controller_env, destination)
        path = self.file(reference, destination)
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST_BYTES + 1)
        except OSError as error:
            raise ControllerError(f"the secret {path} cannot be read: {error.strerror}") from error
        if len(content) > _LARGEST_BYTES:
            raise ControllerError(f"the secret {path} is larger than {_LARGEST_BYTES} bytes")
        try:
            return _not_empty(content.decode().rstrip("\r\n"), str(path))
        except UnicodeDecodeError:
            raise ControllerError(f"the secret {path} is no UTF-8 text") from None

    def file(self, reference: Reference, destination: Destination) -> Path:
        """The file of a reference, links resolved; it need not exist. Raises Refused."""
        if not reference.controller_file:
            raise Refused(f"{named(reference)} is no file of the controller", hint=_HINT)
        path = Path(os.path.realpath(reference.controller_file))
        folders = [Path(os.path.realpath(one.files)) for one in self._for(destination) if one.files]
        if not any(folder in path.parents for folder in folders):
            raise Refused(f"{named(reference)} may not be used for {destination}", hint=_HINT)
        return path

    def _variable(self, name: str, destination: Destination) -> str:
        if not any(name.startswith(one.env) for one in self._for(destination) if one.env):
            raise Refused(f"controller_env:{name} may not be used for {destination}", hint=_HINT)
        if name not in self.environ:
            raise ControllerError(f"the variable {name} of a secret is not set")
        return _not_empty(self.environ[name], name)

    def _for(self, destination: Destination) -> list[SecretSource]:
        return [one for one in self.sources if destination in one.destinations]


def named(reference: Reference) -> str:
    """The reference in one text, as it is remembered on servers: `controller_file:/etc/…`."""
    if reference.controller_file:
        return f"controller_file:{reference.controller_file}"
    return f"controller_env:{reference.controller_env}" if reference.controller_env else "no secret"


def shown(name: str) -> dict[str, str] | None:
    """A reference's name as plans have it, `{"controller_file": "/…"}`; None for none."""
    kind, _, place = name.partition(":")
    return {kind: place} if name else None


def unshown(reference: object) -> str:
    """The name that `shown` took apart, "" for None."""
    if not isinstance(reference, Mapping):
        return ""
    ((kind, place),) = reference.items()
    return f"{kind}:{place}"


def no_secret(reference: Reference, destination: Destination) -> str:
    """The resolver of who was given none. Raises Refused."""
    raise Refused(f"{named(reference)} may not be used for {destination}", hint=_HINT)


def _not_empty(secret: str, place: str) -> str:
    if not secret:
        raise ControllerError(f"the secret {place} is empty")
    return secret
