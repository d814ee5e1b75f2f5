"""The play: every scene of the demo in order, as the commands that a person would type."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from lab.demo.policy_scenes import (
    drift_and_repair,
    for_a_while,
    plan_and_apply,
    proposal,
    steward,
    typo,
)
from lab.demo.stage import STARTED_WITHIN_SECONDS
from lab.demo.surroundings import start_surroundings
from lab.demo.thief import Thief

if TYPE_CHECKING:
    from lab.demo.scenery import Scenery
    from lab.demo.stage import Stage

__all__ = ["act"]

HOST = "demo-host"
REAL_WITHIN_SECONDS = 300.0
"""A real Keycloak is built at its first start."""
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def act(stage: Stage, scenery: Scenery, *, real_keycloak: bool) -> None:
    """Play everything. Raises StepFailed at the first step that is not what it should be."""
    _data_centre(stage, scenery, real_keycloak=real_keycloak)
    _look(stage, scenery)
    typo(stage, scenery)
    plan_and_apply(stage, scenery)
    proposal(stage, scenery)
    for_a_while(stage, scenery)
    drift_and_repair(stage, scenery)
    _agent(stage, scenery)
    _action(stage, scenery)
    _thief(stage, scenery)
    _audit(stage, scenery)
    start_surroundings(stage, scenery)


def _data_centre(stage: Stage, scenery: Scenery, *, real_keycloak: bool) -> None:
    stage.scene("A data centre: 3 nodes, 40 guests, 200 accounts that years of hand work left behind")
    folder = scenery.folder / "lab"
    extra = ("--real-keycloak",) if real_keycloak else ()
    if real_keycloak:
        stage.say("A real Keycloak takes about 15 s to start; its first start builds it, about 20 s more.")
    stage.start(
        "lab",
        "steward-lab",
        "up",
        "--directory",
        str(folder),
        *extra,
        ready=(folder / "lab.json").exists,
        within_seconds=REAL_WITHIN_SECONDS if real_keycloak else STARTED_WITHIN_SECONDS,
        proves="Proxmox VE and Keycloak answer",
    )
    lab = scenery.lab()
    kind = "real" if real_keycloak else "simulated"
    stage.say(
        f"Keycloak ({kind}): {lab['keycloak']['url']}   Proxmox VE (simulated): {lab['proxmox']['url']}"
    )


def _look(stage: Stage, scenery: Scenery) -> None:
    stage.scene("What is odd there? Steward reads, and stores nothing")
    lab = scenery.lab()
    keycloak, proxmox = lab["keycloak"], lab["proxmox"]
    stage.run(
        "steward",
        "look",
        "--keycloak",
        f"{keycloak['url']}/realms/{keycloak['realm']}",
        "--keycloak-client-id",
        keycloak["look"]["client_id"],
        "--keycloak-client-secret-file",
        keycloak["look"]["client_secret_file"],
        "--proxmox",
        proxmox["url"],
        "--proxmox-token-id",
        proxmox["look"]["token_id"],
        "--proxmox-token-file",
        proxmox["look"]["token_secret_file"],
        "--ca-file",
        lab["ca_file"],
        proves="an unmanaged house is read with accounts that may only read",
        says=["administrators without a second factor", "guests without an owner", "guests in no backup job"],
        shown=24,
    )


def _agent(stage: Stage, scenery: Scenery) -> None:
    stage.scene("An agent on this very machine: real metrics")
    scenery.write_agent()
    token = steward(
        stage,
        scenery,
        "host",
        "enroll",
        HOST,
        shown=0,
        proves="an enrolment token, good once and for an hour",
    )
    token_file = scenery.folder / "agent" / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(token.output.strip().splitlines()[-1] + "\n", encoding="utf-8")
    configuration = ("--config", str(scenery.agent_configuration))
    stage.run(
        "steward-agent",
        "enroll",
        *configuration,
        "--token-file",
        str(token_file),
        says=["enrolled"],
        proves="the host pinned the controller's CA and root",
    )
    if scenery.restic:
        stage.run(
            "restic",
            "--quiet",
            "--repo",
            str(scenery.folder / "restic"),
            "--password-file",
            str(scenery.folder / "agent" / "restic.password"),
            "init",
            proves="a local restic repository",
        )
    stage.start(
        "executor",
        "steward-agent",
        "executor",
        *configuration,
        ready=scenery.socket.exists,
        proves="the executor listens",
    )
    stage.start(
        "agent",
        "steward-agent",
        "run",
        *configuration,
        ready=lambda: scenery.answers(f"{scenery.agent_url}/metrics"),
        proves="the network process serves /metrics",
    )
    metrics = scenery.read(f"{scenery.agent_url}/metrics")
    series = [line for line in metrics.splitlines() if line and not line.startswith("#")]
    for start in ("node_load1 ", "node_memory_MemAvailable_bytes ", "node_uname_info", "node_time_seconds "):
        found = next((line for line in series if line.startswith(start)), "")
        stage.check(f"GET {scenery.agent_url}/metrics", found[:110], holds=bool(found), found=f"no {start}")
    stage.say(f"{len(series)} series, under the names that node_exporter's dashboards ask for")


def _action(stage: Stage, scenery: Scenery) -> None:
    stage.scene("A signed action, and the host's signed receipt")
    what: tuple[str, ...]
    if scenery.restic:
        what = ("backup.run", "--arg", "set=precious", "--arg", "repository=local")
    else:
        stage.say("restic is not installed here, so the action is a ping instead of a backup.")
        what = ("host.ping",)
    shown = steward(
        stage,
        scenery,
        "action",
        "run",
        HOST,
        *what,
        "--wait",
        "--output",
        "json",
        shown=0,
        proves=f"{what[0]} ran, once, and its receipt was verified by the controller",
    ).json()
    receipt = shown["receipts"][-1]
    stage.check(
        "receipt",
        f"outcome {receipt['outcome']}: {receipt.get('result')}",
        holds=receipt["outcome"] == "done",
    )
    if scenery.restic:
        stage.run(
            "restic",
            "--repo",
            str(scenery.folder / "restic"),
            "--password-file",
            str(scenery.folder / "agent" / "restic.password"),
            "snapshots",
            "--compact",
            says=["1 snapshots"],
            proves="the snapshot is in the repository",
        )


def _thief(stage: Stage, scenery: Scenery) -> None:
    stage.scene("The controller's real signing key is stolen")
    (pem,) = (scenery.state / "keys").glob("signing*.pem")
    thief = Thief(pem.read_bytes())
    stage.say(f"The thief holds {pem.name}, key id {thief.keyid[:16]}…, and talks to the host directly.")
    hosts = steward(
        stage, scenery, "host", "list", "--output", "json", shown=0, proves="the host's id"
    ).json()
    host_id = hosts[0]["host_id"]
    ping = _forged(host_id, "host.ping", {}, seq=1000)
    for number, (title, action, reason) in enumerate(_attempts(host_id)):
        _deliver(stage, scenery, f"forged-{number}.json", thief.delivery(action), title, reason)
    stage.say("What the owner allows, the key can order: one ping. But not twice:")
    delivery = thief.delivery(ping)
    _deliver(stage, scenery, "forged-ping.json", delivery, "a ping, which every host allows", "")
    _deliver(stage, scenery, "forged-ping.json", delivery, "the same envelope again", "replayed")


def _attempts(host_id: str) -> list[tuple[str, dict[str, Any], str]]:
    """What the thief tries, the forged action, and the reason that the host must give."""
    shadow = {"repository": "local", "set": "shadow"}
    restart = _forged(host_id, "service.restart", {"unit": "ssh"}, seq=1001)
    year = 365 * 86_400
    return [
        ("a service restart, which this host's owner never allowed", restart, "kind_not_allowed"),
        (
            "a backup of a path set that the owner never named",
            _forged(host_id, "backup.run", shadow, seq=1002),
            "args_not_allowed",
        ),
        ("an action for another host", _forged(_ulid(), "host.ping", {}, seq=1003), "wrong_host"),
        (
            "an action that is to stay valid for a year",
            _forged(host_id, "host.ping", {}, seq=1004, seconds=year),
            "bad_window",
        ),
    ]


def _deliver(stage: Stage, scenery: Scenery, name: str, delivery: bytes, title: str, reason: str) -> None:
    file = scenery.folder / name
    file.write_bytes(delivery)
    stage.say(f"{title}:")
    stage.run(
        "steward-agent",
        "deliver",
        "--config",
        str(scenery.agent_configuration),
        "--wait",
        "10",
        str(file),
        expect=3 if reason else 0,
        says=[reason] if reason else ["done"],
        shown=3,
        proves=f"{title}: refused, {reason}" if reason else title,
    )


def _forged(host_id: str, kind: str, args: dict[str, str], *, seq: int, seconds: int = 600) -> dict[str, Any]:
    now = int(time.time())
    return {
        "args": args,
        "expires_at": now + seconds,
        "host_id": host_id,
        "id": _ulid(),
        "issued_at": now,
        "kind": kind,
        "not_before": now,
        "policy_commit": "0" * 40,
        "seq": seq,
        "trust_version": 1,
    }


def _ulid() -> str:
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _audit(stage: Stage, scenery: Scenery) -> None:
    stage.scene("Everything that was written is in one hash chain")
    steward(stage, scenery, "audit", "verify", says=["whole"], proves="the audit log verifies")
