"""Rules that hold across the entries of a policy, beyond the type of each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.policy.login_checks import check_login
from controller.policy.machine_checks import check_machines
from controller.policy.people_checks import check_people
from controller.policy.places import value_position
from controller.policy.readings import found_at
from controller.policy.references import check_references
from controller.policy.secret_checks import check_secrets

if TYPE_CHECKING:
    from controller.policy.merge import Merged

__all__ = ["check"]

_TARGETS: Final = ("users", "roles", "teams", "clients", "machines")


def check(merged: Merged) -> None:
    """Report everything that is wrong between entries."""
    check_references(merged)
    check_secrets(merged)
    check_people(merged)
    check_login(merged)
    check_machines(merged)
    _check_ignore(merged)
    _check_limits(merged)


def _check_ignore(merged: Merged) -> None:
    rules = merged.values.get("ignore")
    for index, rule in enumerate(rules if isinstance(rules, tuple) else ()):
        if isinstance(rule, dict) and sum(target in rule for target in _TARGETS) != 1:
            message = f"ignore names exactly one of {', '.join(_TARGETS)}"
            merged.report(value_position(merged.place, ("ignore", index)), message)


def _check_limits(merged: Merged) -> None:
    for at, value in found_at(merged.values, ("limits", "minimum", "*")):
        if isinstance(value, int) and not isinstance(value, bool) and value < 0:
            merged.report(value_position(merged.place, at), f"{value} must be at least 0")
    for at, value in found_at(merged.values, ("limits", "sections", "*")):
        if value == {}:
            message = "a limit of nothing: give count, share or both"
            merged.report(value_position(merged.place, at), message)
