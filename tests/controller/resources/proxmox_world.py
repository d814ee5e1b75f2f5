"""One simulated cluster, planned and applied as the controller does it."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
from controller.clients.proxmox_writer import ProxmoxWriter
from controller.plan.limits import DEFAULT_LIMITS, strictest
from controller.policy import parse
from controller.reconcile.applier import Applier, Target
from controller.reconcile.planner import Memory, Planner, System
from controller.resources.proxmox_table import PROXMOX
from controller.secret_sources import SecretSource, SecretSources
from tests.lab_servers import SMALL, ProxmoxLab, proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.plan.limits import Strictest
    from controller.plan.plan import Plan


TODAY = date(2026, 11, 20)


ISSUER = "https://sso.example.org/realms/acme"


POLICY = """\
version: 1
owner: prod
roles:
  viewer: {proxmox: [VM.Audit]}
  power: {proxmox: [VM.Audit, VM.PowerMgmt]}
  store: {proxmox: [Datastore.Audit]}
teams:
  science: {description: all of science}
  ml: {parent: science, members: [bo]}
  ops: {members: [cy]}
  idle: {members: [ada]}
users:
  ada:
    teams: [science]
    proxmox_tokens:
      ci: {comment: builds, expires: 2027-01-31, secret: {controller_file: SECRETS/ada-ci}}
  bo: {}
  cy: {}
  dee: {}
clients:
  pve: {secret: {controller_file: SECRETS/client}, proxmox: {default: true, comment: Single sign-on}}
machines:
  web-01: {vmid: 101, assigned: {users: {ada: power}, teams: {science: viewer}, tokens: {ada!ci: power}}}
machine_sets:
  every: {match: {tags: [lab]}, expect: {min: 2}, assigned: {teams: {ops: viewer}}}
pools:
  gpu: {comment: for models, assigned: {teams: {ml: power}}}
storages:
  nfs-1: {assigned: {teams: {science: store}}}
nodes:
  pve1: {assigned: {users: {dee: viewer}}}
"""


GUESTS = [
    {"vmid": 101, "type": "qemu", "node": "pve1", "config": "name: web-01\n"},
    {"vmid": 201, "type": "qemu", "node": "pve2", "config": "name: lab-01\ntags: lab\n"},
    {"vmid": 202, "type": "lxc", "node": "pve3", "config": "hostname: lab-02\ntags: lab\n"},
]


ENVIRONMENT = {**SMALL, "guests": GUESTS, "storages": ["local", "nfs-1"]}


@dataclass
class World:
    """One cluster, planned and applied as the controller does it."""

    lab: ProxmoxLab
    reader: ProxmoxReader
    writer: ProxmoxWriter
    secrets: Path
    today: date = TODAY
    known: bool = True

    def policy(self, text: str) -> Any:
        return parse({"policy.yaml": text.replace("SECRETS", str(self.secrets)).encode()}, "")

    def planner(self) -> Planner:
        system = System(
            "proxmox:par1", self.lab.url, "sso", self.reader, PROXMOX, glance=ProxmoxReader.glance
        )
        return Planner([system], datetime.combine(self.today, time(12), UTC), issuer=ISSUER)

    def plan(self, text: str = POLICY, *, limits: Strictest | None = None) -> Plan:
        policy, planner = self.policy(text), self.planner()
        memory = Memory(limits or strictest([DEFAULT_LIMITS]), lambda *_: self.known)
        return planner.compare(policy, planner.observe(policy), memory)

    def apply(self, text: str = POLICY) -> set[str]:
        return {str(one.result) for one in self.carry_out(self.plan(text))}

    def carry_out(self, plan: Plan) -> list[Any]:
        return Applier([Target("proxmox:par1", self.writer, PROXMOX, 3)]).apply(plan)

    def state(self) -> Any:
        center = self.lab.center
        accounts = copy.deepcopy(center.accounts)
        return (accounts.users, accounts.groups, accounts.roles, accounts.acl, accounts.pools), copy.deepcopy(
            center.realms.by_name
        )


@contextmanager
def cluster(tmp_path: Path, **details: Any) -> Iterator[World]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "client").write_text("the-client-secret\n")
    every = frozenset({"proxmox", "proxmox_tokens"})
    sources = SecretSources([SecretSource(str(secrets), "", every)], {})
    with proxmox_lab(tmp_path, **{"environment": ENVIRONMENT, **details}) as lab:
        login = ProxmoxLogin(lab.url, lab.token_id, lab.token_secret, lab.ca_file)
        with (
            ProxmoxReader(login, cluster="par1", secrets=sources) as reader,
            ProxmoxWriter(login, cluster="par1", secrets=sources) as writer,
        ):
            yield World(lab, reader, writer, secrets)


def keys(plan: Plan) -> list[str]:
    return [f"{change.operation} {change.section}/{change.key}" for change in plan.changes]


def texts(plan: Plan, section: str) -> list[str]:
    return [report.text for report in plan.reported if report.section == section]
