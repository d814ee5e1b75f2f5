"""``steward adopt``: objects that are there and nobody owns, into the policy as they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plan import Config  # noqa: TC001 - typer reads types at run time
from controller.cli.user import Diff, Yes  # noqa: TC001 - the same

if TYPE_CHECKING:
    from controller.editing.workspace import Workspace
    from controller.importing.adopting import Target

__all__ = ["adopt"]


def adopt(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="SECTION/NAME… [POLICY]", help="As users/jo, roles/viewer; the policy folder."
        ),
    ],
    config: Config = Path("controller.yaml"),
    file: Annotated[
        str,
        typer.Option(help="The file below the folder for new entries; the one that holds most by default."),
    ] = "",
    *,
    diff: Diff = False,
    yes: Yes = False,
) -> None:
    """Write the entries of objects that nobody owns, with adopt: true: the next plan only sets our mark.

    SECTION is roles, teams, users, clients, identity_providers or pools. People and teams of the policy that
    have an adopted role, or are in an adopted team, get it in the policy too: from then on Git decides about
    it. An entry that is there already only gets adopt: true.

    Example:
      steward adopt users/eve roles/auditor policies/prod -c controller.yaml
    """
    from controller.cli.user import finish, require_answer
    from controller.editing.workspace import Workspace
    from controller.importing.adopting import ADOPTABLE, targets_of

    is_target = words[-1].partition("/")[0] in ADOPTABLE and not Path(words[-1]).is_dir()
    folder = Path() if is_target else Path(words[-1])
    targets = targets_of(words if is_target else words[:-1])
    if not targets:
        raise typer.BadParameter("say what, as users/eve")
    require_answer(diff=diff, yes=yes)
    workspace = Workspace(folder)
    _adopt(workspace, targets, config, file)
    finish(workspace, diff=diff, yes=yes, what=", ".join(map(str, targets)))


def _adopt(workspace: Workspace, targets: list[Target], config: Path, file: str) -> None:
    from controller.app import Controller
    from controller.config import Configuration
    from controller.errors import Refused
    from controller.importing.adopting import adopt as put_in
    from controller.importing.world import read_cluster_world, read_keycloak_world

    policy = workspace.policy
    with Controller(Configuration.load(config, os.environ)) as controller:
        controller.check(policy)
        in_proxmox = any(target.section == "pools" for target in targets)
        in_keycloak = any(target.section != "pools" for target in targets)
        realm, clusters = None, []
        if in_keycloak:
            if policy.realm is None:
                raise Refused("the policy names no realm", hint="say realm: {name: …} first")
            realm = read_keycloak_world(controller.keycloak_reader(policy.realm.name))
        if in_proxmox:
            clusters = [
                read_cluster_world(controller.proxmox_reader(name), name, settings.realm)
                for name, settings in controller.configuration.proxmox.items()
            ]
        put_in(workspace, targets, realm, clusters, file=file)
