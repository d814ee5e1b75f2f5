"""``steward simulate``: what a person would see and may do under a policy."""

from __future__ import annotations

import contextlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.fitting import shortened
from controller.cli.plan import Folder, Output, Printed
from controller.cli.rendering import place_of
from controller.effects import NOUNS
from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from rich.console import Console

    from controller.entitlements import Access, Way
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.power_times import PowerTimes
    from controller.resources.overrides import Overrides
    from controller.simulating import Seat, Simulation

__all__ = ["overrides_in_force", "print_entries", "print_simulation", "simulate", "today", "ways_text"]


OverridesFrom = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="STEWARD_CONFIG",
        help="A controller.yaml: its overrides in force are counted in. Without it there are none.",
    ),
]


def simulate(
    user: Annotated[str, typer.Argument(help="A name of the policy.")],
    folder: Folder = Path(),
    day: Annotated[str, typer.Option(help="Another day than today, as 2027-02-01.")] = "",
    config: OverridesFrom = None,
    output: Printed = Output.TABLE,
) -> None:
    """Show what USER would see and may do under a policy, and why; asks no system.

    Examples:
      steward simulate bruno.keller policies/prod
      steward simulate bruno.keller policies/prod --day 2027-02-01
      steward simulate bruno.keller policies/prod -c controller.yaml
    """
    from controller.policy.folder import load
    from controller.simulating import simulate as simulated

    policy = load(folder)
    found = simulated(policy, user, _day(day), overrides_in_force(config, policy))
    if output is Output.JSON:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_simulation(found)


def overrides_in_force(config: Path | None, policy: Policy) -> Overrides:
    """The overrides that stand in the store of this controller.yaml now; none without one."""
    from controller.resources.overrides import Overrides

    if config is None:
        return Overrides()
    from controller.cli.printing import open_configuration, open_store
    from controller.reconcile.overriding import overrides_of

    configuration = open_configuration(config)
    if not configuration.store.url and not (configuration.file(configuration.data) / "steward.db").exists():
        return Overrides()  # to ask must not make a store
    with contextlib.closing(open_store(configuration)) as store:
        records = store.overrides.in_force(int(time.time()))
    return overrides_of(records, policy.limits.protected_users)


def _day(text: str) -> date:
    if not text:
        return today()
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ControllerError(f"{text} is no day", hint="--day 2027-02-01") from None


def today() -> date:
    """The day that it is (UTC), as the planner has it."""
    return datetime.now(UTC).date()


def print_simulation(found: Simulation) -> None:
    """The account, then what it gives, each with the line of the policy that gives it."""
    from controller.cli.rendering import console, print_wrapped

    out = console()
    known = " · ".join(part for part in (found.full_name, found.email) if part)
    print_wrapped(out, f"{found.user}{'  ' if known else ''}{known}", style="bold")
    for line, style in _account(found):
        print_wrapped(out, f"  {line}", style=style)
    print_entries(out, "teams", ((seat.team, _seat(seat), seat.source) for seat in found.teams))
    print_entries(
        out, "roles", ((role, ways_text(ways), ways[0].source) for role, ways in found.roles.items())
    )
    print_entries(
        out,
        "the controller's API",
        ((one, f"role {', '.join(roles)}", None) for one, roles in found.permissions.items()),
    )
    print_entries(out, "on Proxmox", (_place(one) for one in found.access))
    print_entries(out, "when they run", (_times(one) for one in found.power))
    print_entries(
        out,
        "tokens",
        (
            (
                one.token,
                f"{one.role} on {NOUNS[one.section]} {one.name}, at most what {found.user} may",
                one.source,
            )
            for one in found.tokens
        ),
    )
    print_entries(out, "programs", ((name, _claim(roles), None) for name, roles in found.clients.items()))
    print_entries(
        out,
        "hosts",
        ((name, "with sudo" if sudo else "an account", None) for name, sudo in found.hosts.items()),
    )


def _account(found: Simulation) -> list[tuple[str, str]]:
    """Lines about the account, with their style."""
    account = found.account
    place = f" ({place_of(found.source)})"
    if not account.can_log_in:
        return [(f"cannot log in: {account.why}{place}; nothing below can be used", "bold red")]
    until = f" until {account.expires}" if account.expires else ""
    factor = ", with a second factor" if account.second_factor else ""
    lines = [(f"may log in{until}{factor}{place}", "green")]
    if account.expires:
        lines.append(("then disabled, logged out, offline sessions revoked", ""))
    if account.invited:
        lines.append(("is invited by mail when the account is made", ""))
    if account.first_login:
        lines.append((f"at the first login: {', '.join(account.first_login)}", ""))
    return lines


def _seat(seat: Seat) -> str:
    above = f"part of {', part of '.join(seat.above)}" if seat.above else ""
    manager = ("manages it" if seat.is_member else "manages it, is no member") if seat.is_manager else ""
    return ", ".join(part for part in (above, manager) if part)


def ways_text(ways: Iterable[Way]) -> str:
    """Every way, in a line."""
    return "; ".join(str(way) for way in ways)


def _place(one: Access) -> tuple[str, str, SourcePosition]:
    what = " ".join(one.privileges) or "no privileges on Proxmox"
    masked = ": without effect, the person's own entry wins" if one.privileges and not one.counts else ""
    way = "" if str(one.way) == "own" else f" {one.way}"
    return f"{NOUNS[one.section]} {one.name}", f"{one.role}{way}{masked} · {what}", one.way.source


def _times(one: PowerTimes) -> tuple[str, str, SourcePosition]:
    told = ["in report mode: told and not done"] * one.is_report
    held = [one.held] * bool(one.held)
    return f"{NOUNS[one.section]} {one.name}", " · ".join([*held, *one.words, *told]), one.source


def _claim(roles: tuple[str, ...]) -> str:
    return f"is told of the roles {' '.join(roles)}" if roles else ""


def print_entries(
    out: Console, heading: str, entries: Iterable[tuple[str, str, SourcePosition | None]]
) -> None:
    """A heading and a line for each entry: name, words, place; nothing where there are none."""
    from rich.text import Text

    from controller.cli.fitting import LEAST_ROOM, packed

    rows = list(entries)
    if not rows:
        return
    out.print(f"\n{heading}", style="bold")
    width = min(max(len(name) for name, _, _ in rows), out.width * 2 // 5)
    for name, words, source in rows:
        place = shortened(place_of(source), out.width // 3) if source else ""
        left = width + 4
        room = out.width - max(left, len(name) + 4) - (len(place) + 2 if place else 0)
        parts = packed(words.split(" · "), room if room >= LEAST_ROOM else 0, out.width - left)
        line = Text(f"  {name:<{width if parts[0] else 0}}").append(f"  {parts[0]}" if parts[0] else "")
        if place:
            line.append(" " * max(2, out.width - line.cell_len - len(place))).append(place, "dim")
        for more in parts[1:]:
            line.append("\n" + " " * left).append(more)
        out.print(line, soft_wrap=True)
