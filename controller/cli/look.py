"""``steward look``:

what is odd in a Keycloak and a Proxmox VE that nobody manages yet. Reads, stores nothing.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.access import (
    CaFile,
    ClientId,
    ClientSecretFile,
    KeycloakUrl,
    KeycloakUser,
    PasswordFile,
    ProxmoxUrl,
    Reaching,
    RealmName,
    TokenFile,
    TokenId,
)
from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from controller.app import Controller
    from controller.look import Findings, GuestFindings, KeycloakReading, PeopleFindings, ProxmoxReading

__all__ = ["look", "numbered"]

_MOST = 10
_FEW_PEOPLE = 4


class Output(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


def look(
    keycloak: KeycloakUrl = "",
    realm: RealmName = "",
    keycloak_user: KeycloakUser = "",
    keycloak_password_file: PasswordFile = None,
    keycloak_client_id: ClientId = "",
    keycloak_client_secret_file: ClientSecretFile = None,
    proxmox: ProxmoxUrl = "",
    proxmox_token_id: TokenId = "",
    proxmox_token_file: TokenFile = None,
    ca_file: CaFile = None,
    output: Annotated[Output, typer.Option(help="How to print the result.")] = Output.TABLE,
) -> None:
    """Tell who is there, who administers, and what is odd. Exit 0: all seen, 1: something could not be read.

    The rights that the accounts need stand in docs/rights.md.

    Example:
      steward look --keycloak https://sso.example.org/realms/acme --keycloak-client-id steward-look \\
        --keycloak-client-secret-file look.secret --proxmox https://pve.example.org:8006 \\
        --proxmox-token-id 'steward@pve!look' --proxmox-token-file look.token
    """
    reaching = Reaching(
        keycloak,
        realm,
        keycloak_user,
        keycloak_password_file,
        keycloak_client_id,
        keycloak_client_secret_file,
        proxmox,
        proxmox_token_id,
        proxmox_token_file,
        ca_file,
    )
    findings = _findings(reaching)
    if output is Output.JSON:
        typer.echo(json.dumps(findings.to_json(), indent=2))
    else:
        _print(findings)
    raise typer.Exit(1 if findings.unobserved else 0)


def _findings(reaching: Reaching) -> Findings:
    from controller.app import Controller
    from controller.config import Configuration
    from controller.look import Findings, found_guests, found_people

    unobserved: list[str] = []
    with Controller(Configuration.of(reaching.settings)) as controller, ThreadPoolExecutor(2) as pool:
        realm_read = pool.submit(_people, controller, reaching, unobserved)
        cluster_read = pool.submit(_cluster, controller, unobserved)
        people, cluster = realm_read.result(), cluster_read.result()
    if cluster is not None and cluster.jobs is None:
        unobserved.append("proxmox: backup jobs are hidden from our token (Sys.Audit on /)")
    return Findings(
        people=None if people is None else found_people(people),
        guests=None if cluster is None else found_guests(cluster, people.users if people else ()),
        unobserved=tuple(sorted(unobserved)),
    )


def _people(controller: Controller, reaching: Reaching, unobserved: list[str]) -> KeycloakReading | None:
    from controller.readings import read_realm

    if not reaching.keycloak_url:
        return None
    try:
        return read_realm(controller.keycloak_reader(reaching.realm_name))[2]
    except ControllerError as error:
        unobserved.append(f"keycloak: {error}")
        return None


def _cluster(controller: Controller, unobserved: list[str]) -> ProxmoxReading | None:
    from controller.readings import read_cluster

    for name in controller.configuration.proxmox:
        try:
            return read_cluster(controller.proxmox_reader(name))
        except ControllerError as error:
            unobserved.append(f"proxmox: {error}")
    return None


def _print(findings: Findings) -> None:
    from controller.cli.rendering import console, print_wrapped

    out = console()
    if findings.people is not None:
        _print_people(out, findings.people)
        out.print()
    if findings.guests is not None:
        _print_guests(out, findings.guests)
    for line in findings.unobserved:
        print_wrapped(out, f"not seen: {line}", style="bold red")
    out.print("\nLong lists are shortened; --output json has all of them. Nothing was stored.", style="dim")


def _print_people(out: Console, people: PeopleFindings) -> None:
    out.print(f"Keycloak realm {people.realm}", style="bold")
    rows: list[tuple[str, Sequence[str] | str]] = [
        ("people", f"{people.people}, {people.enabled} of them enabled"),
        ("administrators", people.administrators),
        ("administrators without a second factor", people.administrators_without_second_factor),
        ("disabled, and still with roles", _held(people.disabled_with_rights)),
        ("without an e-mail address", people.without_email),
        ("accounts of one name", _held(people.same_name)),
        ("roles that nobody has", people.roles_of_nobody),
    ]
    _print_rows(out, rows)


def _print_guests(out: Console, guests: GuestFindings) -> None:
    out.print("Proxmox VE", style="bold")
    backup = "not seen" if guests.without_backup is None else guests.without_backup
    rows: list[tuple[str, Sequence[str] | str]] = [
        ("guests", f"{guests.guests}, templates aside"),
        ("administrators", guests.administrators),
        ("guests without an owner", guests.without_owner),
        ("guests in no backup job", backup),
        ("rights set directly on /", guests.direct_on_root),
        ("disabled, and still with rights", _held(guests.disabled_with_rights)),
    ]
    _print_rows(out, rows)
    if guests.reach:
        out.print("\nWho reaches which guests", style="bold")
        _print_reach(out, guests)


def _print_rows(out: Console, rows: Sequence[tuple[str, Sequence[str] | str]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for what, found in rows:
        if isinstance(found, str):
            table.add_row(what, "", found)
        else:
            table.add_row(what, str(len(found)), _listed(found))
    out.print(table)


def _print_reach(out: Console, guests: GuestFindings) -> None:
    from rich.table import Table

    alike: dict[tuple[str, str, str, tuple[int, ...]], list[str]] = {}
    for one in guests.reach:
        alike.setdefault((one.group, one.role, one.path, one.guests), []).append(one.person)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("who", "role", "set on", "guests"):
        table.add_column(heading, overflow="fold")
    for (group, role, path, reached), people in alike.items():
        is_all = len(reached) == guests.guests
        table.add_row(_who(group, people), role, path, "all" if is_all else numbered(reached))
    out.print(table)


def _who(group: str, people: Sequence[str]) -> str:
    listed = ", ".join(people[:_FEW_PEOPLE])
    more = f", and {len(people) - _FEW_PEOPLE} more" if len(people) > _FEW_PEOPLE else ""
    return f"group {group}: {listed}{more}" if group else listed + more


def numbered(vmids: Sequence[int]) -> str:
    """Guests by their numbers, neighbours as a range, and how many: `120-124, 140 (6)`."""
    runs: list[list[int]] = []
    for vmid in sorted(vmids):
        if runs and vmid == runs[-1][-1] + 1:
            runs[-1].append(vmid)
        else:
            runs.append([vmid])
    said = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return _listed(said) + (f" ({len(vmids)})" if len(vmids) > 1 else "")


def _held(found: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{name} ({', '.join(values)})" for name, values in found.items()]


def _listed(found: Sequence[str]) -> str:
    shown = ", ".join(found[:_MOST])
    return f"{shown}, and {len(found) - _MOST} more" if len(found) > _MOST else shown or "none"
