"""Both simulators with planner and applier, kept for many examples: each begins with a fresh world.

No store: what we know of earlier passes is given (`Memory`), so that an example costs requests and nothing
else.
"""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controller.app import Controller
from controller.config import Configuration
from controller.plan.limits import Limits, strictest
from controller.policy.parse import parse
from controller.reconcile.planner import Memory
from lab.proxmox.accounts import Entry, Group, Pool, User
from tests.controller.stage import NOON, Stage, staged
from tests.lab_servers import SMALL, ProxmoxLab, proxmox_lab
from tests.policies import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from controller.plan.change import Outcome
    from controller.plan.plan import Plan
    from controller.policy.model import Policy

__all__ = ["World", "world"]

_MEMORY = Memory(strictest([Limits(delete_after_days=30)]), lambda _system, _section, _key: True)
_OPEN = "/protocol/"


@dataclass
class World:
    """A Keycloak, a Proxmox cluster and a controller; `begin` puts both back to how they were."""

    stage: Stage
    lab: ProxmoxLab
    controller: Controller
    secrets: Path
    _fresh: Any
    systems: tuple[str, ...] = ("keycloak", "proxmox")
    """The beginnings of the names of the systems that are planned for."""

    def begin(self, *, has_realm: bool) -> None:
        """A world that nobody has managed yet; with `has_realm` there is a realm with objects of others."""
        self.stage.keycloak.realms.pop("acme", None)
        for name, value in copy.deepcopy(self._fresh).items():
            setattr(self.lab.center, name, value)
        if has_realm:
            realm = self.stage.keycloak.create_realm("acme", {"enabled": True})
            self.stage.keycloak.new_role(realm, "legacy", "of somebody else")
            self.stage.keycloak.new_user(realm, "stranger", roles={"legacy"})

    def policy(self, drawn: Mapping[str, Any]) -> Policy:
        return parse(text_of(dict(drawn)), "")

    def plan(self, policy: Policy, reader: Callable[[Any], Any] = lambda one: one) -> Plan:
        """The plan; `reader` may put something before what reads the systems."""
        planner = self._planner(policy)
        systems = [replace(one, reader=reader(one.reader)) for one in planner.systems]
        planner = replace(planner, systems=systems)
        return planner.compare(policy, planner.observe(policy), _MEMORY)

    def apply(self, plan: Plan, policy: Policy) -> list[Outcome]:
        return self.controller.applier(policy).apply(plan)

    def _planner(self, policy: Policy) -> Any:
        planner = replace(self.controller.planner(policy), now=datetime.fromtimestamp(NOON, UTC))
        systems = [one for one in planner.systems if one.name.startswith(self.systems)]
        return replace(planner, systems=systems)

    @property
    def writes(self) -> int:
        """How many writes both servers were asked for."""
        counts = (*self.stage.requests.items(), *self.lab.center.requests.items())
        return sum(
            number for request, number in counts if not request.startswith("GET") and _OPEN not in request
        )

    def others(self) -> dict[str, str]:
        """What nobody has given to us, in full."""
        accounts = self.lab.center.accounts
        kept = {
            "pve users": {name: repr(one) for name, one in accounts.users.items() if not _is_ours(one)},
            "pve groups": {name: repr(one) for name, one in accounts.groups.items() if name == "others"},
            "pve pools": {name: repr(one) for name, one in accounts.pools.items() if name == "theirs"},
            "pve roles": {name: sorted(held) for name, held in accounts.roles.items() if name == "Theirs"},
            "pve entries": sorted(
                (entry, flag)
                for entry, flag in accounts.acl.items()
                if not entry.roleid.startswith("steward-")
            ),
        }
        realm = self.stage.keycloak.realms.get("acme")
        if realm is not None:
            kept["roles"] = {name: repr(one) for name, one in realm.roles.items() if name == "legacy"}
            kept["people"] = [repr(one) for one in realm.people() if one.username == "stranger"]
        return {name: json.dumps(value, default=str, sort_keys=True) for name, value in kept.items()}


def _is_ours(user: User) -> bool:
    return "steward" in (user.comment or "")


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Serve both and configure a controller for them."""
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "google").write_text("a secret")
    (folder / "pve").mkdir()
    with staged(folder) as stage, proxmox_lab(folder / "pve", SMALL, clock=lambda: float(NOON)) as lab:
        accounts = lab.center.accounts
        accounts.users["stranger@keycloak"] = User(comment="not of Steward", email="s@example.org")
        accounts.users["stranger@keycloak"].comment = "of somebody else"
        accounts.groups["others"] = Group("others", {"stranger@keycloak"})
        accounts.pools["theirs"] = Pool("theirs", {102})
        accounts.roles["Theirs"] = {"VM.Audit"}
        accounts.acl[Entry("/vms/101", "user", "stranger@keycloak", "Theirs")] = 1
        accounts.settle()
        lab.center.realms.by_name["keycloak"]["username-claim"] = "username"
        (folder / "token").write_text(lab.token_secret)
        stage.configure(
            proxmox={
                "par1": {
                    "url": lab.url,
                    "ca_file": str(lab.ca_file),
                    "token_id": lab.token_id,
                    "token_secret_file": "token",
                }
            },
            secrets=[
                {
                    "files": str(secrets),
                    "destinations": ["mail", "identity_providers", "clients", "proxmox", "proxmox_tokens"],
                }
            ],
        )
        fresh = {"accounts": copy.deepcopy(accounts), "realms": copy.deepcopy(lab.center.realms)}
        with Controller(Configuration.load(stage.config, {}), clock=lambda: float(NOON)) as controller:
            yield World(stage, lab, controller, secrets, fresh)


def results(outcomes: Sequence[Outcome]) -> list[str]:
    """What did not go well."""
    return [
        f"{one.change.label}: {one.result}: {one.reason}" for one in outcomes if str(one.result) != "applied"
    ]
