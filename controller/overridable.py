"""Whom and what an override may name: a slip would be in force for days, and nothing would come of it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from controller.errors import ControllerError, Refused
from controller.policy.problems import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Collection

    from controller.policy.model import Policy

__all__ = ["check_machine", "check_person"]


def check_person(name: str, policy: Policy, protected: Collection[str]) -> None:
    """Raise ControllerError for somebody whom the policy does not name, Refused for whom limits protect.

    `protected` are those of controller.yaml; the policy's own are added.
    """
    if name not in policy.users:
        raise _unknown(f"the policy names no user {quoted(name)}", name, policy.users)
    if name in {*protected, *policy.limits.protected_users}:
        raise Refused(
            f"{name} is in limits.protected_users: nothing would come of a suspension",
            hint="take the name out of limits.protected_users first",
        )


def check_machine(name: str, policy: Policy) -> str:
    """Raise ControllerError for a machine that neither an entry nor a set of the policy can mean.

    Returns what could not be checked, in words: a set holds guests by what only Proxmox VE knows.
    """
    if name in policy.machines:
        return ""
    matches = {title: one.match.name for title, one in policy.machine_sets.items()}
    holding = [title for title, glob in matches.items() if glob is None or fnmatchcase(name, glob)]
    if holding:
        return f"only a guest of the set {quoted(holding[0])} can be meant; whether there is one shows plan"
    raise _unknown(f"the policy names no machine {quoted(name)}", name, policy.machines)


def _unknown(message: str, name: str, known: Collection[str]) -> ControllerError:
    meant = did_you_mean(name, known)
    question = f"; did you mean {quoted(meant)}?" if meant else ""
    return ControllerError(
        f"{message}{question}", hint="a policy that is newer than the one in force is given with --policy"
    )
