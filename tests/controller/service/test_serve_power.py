"""The service and power: a slot gets a pass of its own at its instant, and everything is told."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from controller.config import Configuration
from controller.datafolder import DataFolder
from controller.store import Store
from controller.trust import first_document, sign_document
from tests.controller.api.guest import ROOT
from tests.controller.gitops.repository import Source
from tests.controller.resources.power_stage import OFFICE, seconds
from tests.controller.service.test_serve import serving
from tests.lab_servers import proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = "version: 1\nowner: prod\nunlisted: {acls: count}\n"


@dataclass
class Ticking:
    """A clock that begins somewhere and goes on as the real one does."""

    begin: float
    since: float = field(default_factory=time.monotonic)

    def __call__(self) -> float:
        return self.begin + time.monotonic() - self.since


@dataclass
class House:
    """A controller.yaml that names one simulated cluster; what `serving` needs."""

    folder: Path
    clock: Ticking
    lab: Any

    @property
    def config(self) -> Path:
        return self.folder / "controller.yaml"

    def guest(self, vmid: int = 102) -> Any:
        return self.lab.center.environment.guests[vmid]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A moment before 20:00 in Paris, on a Friday."""
    clock = Ticking(seconds("2026-11-20T18:59:58"))
    with proxmox_lab(tmp_path, clock=clock) as lab:
        (tmp_path / "token").write_text(lab.token_secret)
        cluster = {
            "url": lab.url,
            "token_id": lab.token_id,
            "token_secret_file": "token",
            "ca_file": str(lab.ca_file),
            "realm": "keycloak",
        }
        git = {"git": str(tmp_path / "policies"), "folder": "prod", "interval": "1h", "apply": True}
        settings = {"instance": "house", "owners": ["prod"], "data": "state", "listen": "127.0.0.1:0"}
        settings |= {"proxmox": {"par1": cluster}, "policy": git, "sd_token_file": "state/sd.token"}
        (tmp_path / "controller.yaml").write_text(json.dumps(settings))
        data = DataFolder(tmp_path / "state")
        data.create("house", ["127.0.0.1", "localhost"], now=int(time.time()))
        key = data.public_key("signing")
        data.trust.add(sign_document(first_document(ROOT.public, key, [], now=int(clock())), ROOT))
        yield House(tmp_path, clock, lab)


async def test_a_slot_gets_a_pass_at_its_instant(house):
    Source(house.folder / "policies").commit({"prod/policy.yaml": HEAD + OFFICE})
    async with serving(house) as running:
        await running.until(lambda: running.metric("steward_power_slots_total", result="fired"))
        assert not house.guest().is_running
        assert running.metric("steward_power_slots_total", result="skipped") == 1  # this morning's
        fired = [one for one in running.site.store.audit.latest(50) if one.event == "power.slot"]
        assert {json.loads(one.detail)["result"] for one in fired} == {"fired", "skipped"}
        assert running.metric("steward_reconcile_total", resource="machines.power", result="applied") == 1


async def test_a_hold_is_obeyed_and_shown_and_nothing_is_made_good_afterwards(house):
    Source(house.folder / "policies").commit({"prod/policy.yaml": HEAD + OFFICE})
    store = Store.open(f"sqlite:///{house.folder}/state/steward.db", chain="house", clock=house.clock)
    now = int(house.clock())
    store.overrides.begin(
        "machine", "db-01", state="as-is", until=now + 3600, actor="local:ann", reason="", now=now
    )
    async with serving(house) as running:
        await running.until(lambda: running.metric("steward_power_slots_total", result="held"))
        page = await (await running.session.get("/")).text()
        assert "Overrides in force" in page
        assert "machine db-01 is held as-is by local:ann" in page
        store.overrides.end("machine", "db-01", actor="local:ann", now=int(house.clock()))
        running.built.service.wake()
        await running.until(lambda: not running.site.situation.overrides)
        assert house.guest().is_running
    store.close()


ACCESS = "roles: {viewer: {proxmox: [VM.Audit]}}\nusers: {jo: {email: jo@example.org}}\n"
HUNG = ACCESS + OFFICE.replace('at: "20:00"}', 'at: "20:00", timeout: 5m}')
GIVEN = HUNG.replace("{vmid: 102,", "{vmid: 102, assigned: {users: {jo: viewer}},")


async def test_a_revocation_does_not_wait_for_a_guest_that_does_not_obey(house):
    source = Source(house.folder / "policies")
    source.commit({"prod/policy.yaml": HEAD + GIVEN})
    center, guest = house.lab.center, house.guest()
    guest.hangs = True
    async with serving(house) as running:
        site = running.site
        await passes_until(running, lambda: center.tasks.running("pve2") and assigned(center))
        await passes_until(running, lambda: any("under way" in one.reason for one in site.situation.plan))
        revoked = source.commit({"prod/policy.yaml": HEAD + HUNG})
        await passes_until(running, lambda: not assigned(center))
        assert guest.is_running
        assert center.tasks.running("pve2")
        assert site.store.runs.latest(1)[0].commit == revoked
        assert [run.result for run in site.store.runs.latest(2)] == ["done", None]  # one waits for its guest
        house.clock.begin += 300
        await running.until(lambda: running.metric("steward_power_slots_total", result="failed"))
        assert [run.result for run in site.store.runs.latest(2)] == ["done", "partial"]
        asked = sum(number for one, number in center.requests.items() if one.endswith("/102/status/shutdown"))
        assert asked == 1


async def test_a_service_that_stops_leaves_a_shutdown_to_its_guest(house):
    Source(house.folder / "policies").commit({"prod/policy.yaml": HEAD + OFFICE})
    house.guest().hangs = True
    async with serving(house) as running:
        await passes_until(running, lambda: house.lab.center.tasks.running("pve2"))
    store = Store.open(f"sqlite:///{house.folder}/state/steward.db", chain="house", clock=house.clock)
    assert [(one.name.kind, str(one.state)) for one in store.power_slots.latest("db-01", 1)] == [
        ("stop", "claimed")
    ]
    assert store.lease.current().until == 0
    store.close()


async def passes_until(running, holds):
    """Pass after pass until something is so: what goes on beside them rings no bell."""
    while not holds():
        seen = passes(running)
        running.built.service.wake()
        await running.until(lambda seen=seen: passes(running) > seen)


def passes(running):
    results = ("done", "partial", "failed", "refused")
    return sum(running.metric("steward_reconcile_passes_total", result=one) or 0 for one in results)


def assigned(center):
    return [entry for entry in map(str, center.accounts.acl) if "/vms/102" in entry and "jo@" in entry]


def test_the_configuration_of_the_house_is_one(house):
    assert Configuration.load(house.config, {}).proxmox["par1"].realm == "keycloak"
