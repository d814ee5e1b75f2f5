"""A cluster, a store and a clock: passes over the power of machines, as the controller makes them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
from controller.clients.proxmox_writer import ProxmoxWriter
from controller.plan.limits import DEFAULT_LIMITS, strictest
from controller.policy import parse
from controller.reconcile.applier import Applier, Target
from controller.reconcile.planner import Memory, Planner, System
from controller.reconcile.powering import Ledger, power_memory, record_notes
from controller.resources.overrides import Overrides
from controller.resources.power_jobs import Desk
from controller.resources.proxmox_power import POWER, with_desk
from controller.store import Store
from tests.lab_servers import SMALL, ProxmoxLab, proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from controller.plan.change import Outcome
    from controller.plan.plan import Plan, Report
    from controller.power_values import InHand

CLUSTER = "proxmox:par1"
HEAD = "version: 1\nowner: prod\n"
OFFICE = """\
schedules:
  office:
    time_zone: Europe/Paris
    start: {days: mon-fri, at: "07:00"}
    stop: {days: mon-fri, at: "20:00"}
machines:
  db-01: {vmid: 102, power: {schedule: office}}
"""

FRIDAY_EVENING = "2026-11-20T19:00"  # 20:00 in Paris
APPLIED = [("applied", "")]
CATCH_UP = OFFICE.replace('at: "20:00"}', 'at: "20:00"}\n    catch_up: 2h')
STATE = """\
machines:
  db-01: {{vmid: 102, power: {{state: {0}}}}}
  web-01: {{vmid: 101, power: {{state: {0}}}}}
"""


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand and by whoever waits; `at` holds what happens on the way."""

    now: float
    at: dict[float, Callable[[], object]] = field(default_factory=dict)
    waited: float = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waited += seconds
        self.move(self.now + seconds)
        return True

    def move(self, to: float) -> None:
        for instant in sorted(one for one in self.at if one <= to):
            self.now = max(self.now, instant)
            self.at.pop(instant)()
        self.now = to

    def to(self, text: str) -> None:
        self.move(seconds(text))


def seconds(text: str) -> float:
    """An instant as text, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@dataclass
class Stage:
    """Passes, one after the other, on one simulated cluster."""

    lab: ProxmoxLab
    reader: ProxmoxReader
    writer: ProxmoxWriter
    store: Store
    clock: Clock
    database: Path
    text: str = OFFICE
    overrides: Overrides = field(default_factory=Overrides)
    wait: Callable[[float], bool] | None = None
    reported: tuple[Report, ...] = ()
    in_hand: Mapping[tuple[str, str], InHand] = field(default_factory=dict)

    def guest(self, vmid: int = 102) -> Any:
        return self.lab.center.environment.guests[vmid]

    def lock(self, kind: str, vmid: int = 102) -> None:
        self.guest(vmid).config["lock"] = kind

    def unlock(self, vmid: int = 102) -> None:
        self.guest(vmid).config.pop("lock", None)

    def node(self, name: str, *, online: bool) -> None:
        self.lab.center.environment.nodes[name].online = online

    def plan(self) -> Plan:
        policy = parse({"policy.yaml": (HEAD + self.text).encode()}, "")
        system = System(CLUSTER, self.lab.url, "keycloak", self.reader, (POWER,))
        planner = Planner([system], datetime.fromtimestamp(self.clock(), UTC))
        memory = Memory(
            strictest([DEFAULT_LIMITS]),
            lambda *_: True,
            overrides=self.overrides,
            power=power_memory(self.store, int(self.clock()), self.in_hand),
        )
        return planner.compare(policy, planner.observe(policy), memory)

    def run(self) -> list[Outcome]:
        """A pass: what it noted is written down, what it planned is carried out."""
        return self.carry_out(self.plan())

    def carry_out(self, plan: Plan) -> list[Outcome]:
        self.reported = plan.reported
        now = int(self.clock())
        self.ended = record_notes(self.store, plan.notes, actor="controller", term=0, now=now)
        ledger = Ledger(self.store.power_slots, "controller", 0, self.clock, self.ended)
        desk = Desk(ledger, self.clock, self.wait or self.clock.wait)
        applier = Applier([Target(CLUSTER, self.writer, (with_desk(desk),), 3)])
        return applier.apply(plan)

    def results(self) -> list[tuple[str, str]]:
        """A pass, told by results and reasons."""
        return [(str(one.result), one.reason) for one in self.run()]

    def slots(self, machine: str = "db-01") -> list[tuple[str, str, str]]:
        """The slots on record, newest first: when in UTC, how they ended, why."""
        return [
            (
                f"{one.name.kind} {datetime.fromtimestamp(one.name.due_at, UTC):%m-%d %H:%M}",
                str(one.state),
                one.reason,
            )
            for one in self.store.power_slots.latest(machine, 50)
        ]

    def tasks(self) -> list[str]:
        """What was asked of guests, in order."""
        return [
            request.rpartition("/")[2] + " " + request.split("/")[-3]
            for request, number in self.lab.center.requests.items()
            if request.startswith("POST") and "/status/" in request
            for _ in range(number)
        ]


@contextmanager
def staged(
    tmp_path: Path,
    at: str,
    *,
    text: str = OFFICE,
    environment: Mapping[str, Any] = SMALL,
    role: str = "Administrator",
) -> Iterator[Stage]:
    """A cluster whose clock, like ours, stands at `at` (UTC)."""
    clock = Clock(seconds(at))
    store = Store.open(f"sqlite:///{tmp_path}/steward.db", chain="test", clock=clock)
    with proxmox_lab(tmp_path, environment, clock=clock, role=role) as lab:
        login = ProxmoxLogin(lab.url, lab.token_id, lab.token_secret, lab.ca_file)
        with ProxmoxReader(login, cluster="par1") as reader, ProxmoxWriter(login, cluster="par1") as writer:
            yield Stage(lab, reader, writer, store, clock, tmp_path / "steward.db", text)
    store.close()
