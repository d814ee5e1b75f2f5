"""``steward explain``: who may do what on a machine, by which entry, and from which line of the policy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plan import Config, Output, Printed
from controller.cli.rendering import place_of
from controller.cli.simulating import overrides_in_force
from controller.entitlements import ASSIGNABLE
from controller.errors import ControllerError, NotAllowed, NotThere
from controller.explain import SUPERUSER
from controller.policy.problems import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from controller.explain import Explanation, Verdict
    from controller.policy.model import Policy
    from controller.reconcile.planner import Planner, System
__all__ = ["explain"]


def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="USER|ROLE [MACHINE] [FOLDER]",
            help="A name of the policy, name@realm or a token; then a machine (its name or number), "
            "pool/NAME, storage/NAME or node/NAME; then the policy folder.",
        ),
    ] = None,
    role: Annotated[str, typer.Option(help="Explain this role instead: who has it, and what it gives.")] = "",
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
) -> None:
    """Print each privilege of USER on MACHINE with the entry, path and inheritance that grants or masks it.

    Without a machine: what the policy gives USER, or who has ROLE and by which way; this asks no system.

    Examples:
      steward explain bruno.keller web-01 policies/prod
      steward explain bruno.keller policies/prod
      steward explain --role power-user policies/prod
    """
    from controller.policy.folder import load

    subject, place, folder = _read(list(words or ()), role)
    policy = load(folder)
    if role:
        _explain_role(policy, role, output)
    elif place:
        _explain_place(policy, subject, place, config, output)
    elif subject in policy.users:
        _explain_user(policy, subject, config, output)
    elif subject in policy.roles:
        _explain_role(policy, subject, output)
    else:
        meant = did_you_mean(subject, (*policy.users, *policy.roles))
        question = f"; did you mean {quoted(meant)}?" if meant else ""
        raise NotThere(f"the policy names no user and no role {quoted(subject)}{question}")


def _read(words: list[str], role: str) -> tuple[str, str, Path]:
    """Subject, place and folder; of two words the second is the folder where there is such a folder."""
    if role:
        words.insert(0, "")
        words.insert(1, "")
    elif len(words) == 2 and Path(words[1]).is_dir():
        words.insert(1, "")
    if not 1 <= len(words) <= 3 or (not words[0] and not role):
        raise typer.BadParameter(
            "name a user, and what else: USER [MACHINE] [FOLDER], or --role ROLE [FOLDER]"
        )
    return words[0], words[1] if len(words) > 1 else "", Path(words[2] if len(words) > 2 else ".")


def _explain_user(policy: Policy, user: str, config: Path, output: Output) -> None:
    """What the policy gives somebody, everywhere; with a controller.yaml also the overrides in force."""
    from controller.cli.simulating import print_simulation, today
    from controller.simulating import simulate

    overrides = overrides_in_force(config if config.exists() else None, policy)
    found = simulate(policy, user, today(), overrides)
    if output is Output.JSON:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_simulation(found)


def _explain_role(policy: Policy, role: str, output: Output) -> None:
    from controller.cli.explain_role import print_role
    from controller.explain_role import explain_role

    found = explain_role(policy, role)
    if output is Output.JSON:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_role(found)


def _explain_place(policy: Policy, user: str, place: str, config: Path, output: Output) -> None:
    """What somebody may do on a place, by the live list of entries, beside Proxmox's own answer."""
    from controller.app import Controller
    from controller.cli.printing import open_configuration
    from controller.explaining import explain_assignment

    with Controller(open_configuration(config)) as controller:
        planner = controller.planner(policy)
        system = _system(planner, policy, place)
        overrides = overrides_in_force(config, policy)
        context = replace(planner.context(system, policy), overrides=overrides)
        access, resources = system.reader.access(), system.reader.resources()
        found = explain_assignment(user, place, policy, context, access=access, resources=resources)
        if found.userid.partition("!")[0] in access.users and found.userid != SUPERUSER:
            found = _checked(found, system)
    if output is Output.JSON:
        typer.echo(json.dumps({"system": system.name, **found.to_json()}, indent=2))
    else:
        _print(found, place, system.name)


def _checked(found: Explanation, system: System) -> Explanation:
    """With what Proxmox itself answers; where we may not ask, that is said."""
    try:
        return replace(found, server=system.reader.privileges_of(found.userid, found.path))
    except NotAllowed as error:
        note = f"not compared with Proxmox's own answer: {error.message}"
        return replace(found, notes=(*found.notes, note))


def _system(planner: Planner, policy: Policy, place: str) -> System:
    """The cluster that the place is on, or the only one."""
    clusters = {one.name.partition(":")[2]: one for one in planner.systems if one.name.startswith("proxmox:")}
    kind, slash, name = place.partition("/")
    section = f"{kind.removesuffix('s')}s" if slash else "machines"
    entries = getattr(policy, section) if section in ASSIGNABLE else {}
    entry = entries.get(name if slash else place)
    named = entry.cluster if entry is not None else None
    if named in clusters and named is not None:
        return clusters[named]
    if len(clusters) == 1 and named is None:
        return next(iter(clusters.values()))
    known = ", ".join(sorted(clusters)) or "none"
    raise ControllerError(f"which cluster is {place} on? controller.yaml names: {known}")


def _print(found: Explanation, machine: str, system: str) -> None:
    """First the answer, then the entries that make it so, then those that would and do not."""
    from controller.cli.rendering import console, print_wrapped

    out = console()
    cluster = system.partition(":")[2] or system
    number = found.path.rpartition("/")[2]
    where = f"guest {number} of {cluster}" if found.path.startswith("/vms/") else f"{found.path} of {cluster}"
    print_wrapped(out, f"{_answer(found)} on {machine} ({where})", style="bold")
    for note in found.notes if found.userid != SUPERUSER else ():
        print_wrapped(out, f"  {note}", style="yellow")
    held = sorted(found.held)
    if held:
        print_wrapped(out, f"  {', '.join(held)}")
    elif not found.verdicts and not found.notes:
        out.print(f"  no entry on the way to {found.path} names them or a group of theirs")
    _print_entries(out, "because of", [one for one in found.verdicts if one.counts], found)
    _print_entries(out, "without effect", [one for one in found.verdicts if not one.counts], found)
    if found.agrees is False:
        print_wrapped(out, f"\n{_disagreement(found)}", style="bold red")
    elif found.agrees:
        out.print("\nProxmox itself says the same", style="dim")


def _disagreement(found: Explanation) -> str:
    """What Proxmox reckons otherwise, and why that may be."""
    server = found.server or frozenset()
    more, less = sorted(server - found.held), sorted(found.held - server)
    said = [f"has {' '.join(more)} as well"] * bool(more) + [f"has no {' '.join(less)}"] * bool(less)
    pools = "; a pool that holds this storage may give them" if found.path.startswith("/storage/") else ""
    return f"Proxmox itself says that {found.userid} {' and '.join(said)}{pools}"


def _answer(found: Explanation) -> str:
    """What the person may do, in a sentence without its place."""
    if found.userid == SUPERUSER:
        return f"{found.userid} may do everything"
    number = len(found.held)
    if number and not found.is_usable:
        return f"{found.userid} has {number} privileges, and cannot use them,"
    return f"{found.userid} has {number or 'no'} privilege{'' if number == 1 else 's'}"


def _print_entries(out: Console, heading: str, verdicts: Sequence[Verdict], found: Explanation) -> None:
    """Each entry with its path, why it counts or not, the policy's line, and the privileges in it."""
    from controller.cli.rendering import print_wrapped

    if verdicts:
        out.print(f"\n{heading}", style="bold")
    told = {one.entry: one for one in reversed(verdicts)}  # what holds for path and pool alike is said once
    for one in reversed(told.values()):
        entry = one.entry
        print_wrapped(out, f"  {entry.role} on {entry.path} for the {entry.kind} {entry.holder}: {one.why}")
        print_wrapped(out, f"      {_asked(one)}", style="dim")
        given = [grant.privilege for grant in found.grants if one in grant.by]
        listed = "all of these" if set(given) == found.held else ", ".join(given)
        if given:
            verb = "gives" if one.counts else "would give"
            print_wrapped(out, f"      {verb} {listed}", style="dim")


def _asked(one: Verdict) -> str:
    """What the policy says of an entry."""
    if one.asked is None:
        return "no policy asks for it"
    by = f" by the set {one.asked.by}" if one.asked.by else ""
    team = f", for the {one.asked.team}" if one.asked.team else ""
    return f"asked for at {place_of(one.asked.source)}{by}{team}"
