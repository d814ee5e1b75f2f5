"""References to secrets: one place each, and on the side that will read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.policy.places import key_position, value_position
from controller.policy.readings import found_at

if TYPE_CHECKING:
    from controller.policy.merge import Merged
    from controller.policy.readings import Path

__all__ = ["check_secrets"]

_CONTROLLER: Final = ("controller_file", "controller_env")
_HOST: Final = ("host_file", "host_env")

_READ_BY_CONTROLLER: Final = (
    ("realm", "mail", "password"),
    ("realm", "identity_providers", "*", "client_secret"),
    ("clients", "*", "secret"),
    ("alerting", "receivers", "*", "webhook"),
)
_WRITTEN_BY_CONTROLLER: Final = (("users", "*", "proxmox_tokens", "*", "secret"),)
_READ_ANYWHERE: Final = (("repositories", "*", "password"),)


def check_secrets(merged: Merged) -> None:
    """Report references that name no place, two places, or one that nobody could read."""
    for paths, allowed in (
        (_READ_BY_CONTROLLER, _CONTROLLER),
        (_WRITTEN_BY_CONTROLLER, _CONTROLLER[:1]),
        (_READ_ANYWHERE, (*_HOST, *_CONTROLLER)),
    ):
        for path in paths:
            for at, value in found_at(merged.values, path):
                if isinstance(value, dict):
                    _check(merged, at, [name for name in value if name in (*_CONTROLLER, *_HOST)], allowed)


def _check(merged: Merged, at: Path, names: list[str], allowed: tuple[str, ...]) -> None:
    """One reference; `names` are the places that it gives."""
    choice = ", ".join(allowed[:-1]) + " or " + allowed[-1] if len(allowed) > 1 else allowed[0]
    wrong = [name for name in names if name not in allowed]
    if wrong:
        whose = "only hosts read it" if wrong[0] in _HOST else "it is written to a file"
        message = f"{wrong[0]} cannot hold this secret, {whose}: say {choice}"
        merged.report(key_position(merged.place, (*at, wrong[0])), message)
    elif not names:
        merged.report(value_position(merged.place, at), f"no place of the secret is given: say {choice}")
    elif len(names) > 1:
        message = f"one secret, two places ({', '.join(names)}): say one of {choice}"
        merged.report(key_position(merged.place, (*at, names[1])), message)
