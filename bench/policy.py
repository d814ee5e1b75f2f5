"""How long a policy takes to read and check, and the peer that one would use instead: PyYAML's own loader.

PyYAML (C parser) only builds values; we also keep a position for each, type everything and check that names
point at something. 10,000 people in one file; best of several runs in this process.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from bench.measuring import NO_CHANGES, best, print_head, print_line, steward
from controller.policy import load, parse

PEOPLE = 10_000
TEAMS = 300
RUNS = 5
VALIDATE_SECONDS = 3.0
EXAMPLE = Path(__file__).resolve().parents[1] / "policies" / "prod"


def run() -> None:
    """Measure and print."""
    files = {"policy.yaml": b"version: 1\nowner: bench\n", "people.yaml": _people(PEOPLE)}
    ours = _best(lambda: parse(files, ""))
    theirs = _best(lambda: yaml.load(files["people.yaml"], Loader=yaml.CSafeLoader))
    print(f"read and check {PEOPLE} people ({len(files['people.yaml']) / 1e6:.1f} MB)  {ours:.2f} s")
    print(f"PyYAML CSafeLoader, values only          {theirs:.2f} s   ratio {ours / theirs:.2f}")
    print(f"policies/prod, from disk                 {_best(lambda: load(EXAMPLE)) * 1000:.1f} ms")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        runs = [steward(folder, "validate", ".", code=NO_CHANGES) for _ in range(RUNS)]
    print_head(f"{PEOPLE} people, the whole command")
    print_line("steward validate", best(runs).seconds, VALIDATE_SECONDS, "s")


def _people(count: int) -> bytes:
    """People with every field that most will have, in nested teams; one file holds 5 MB at most."""
    lines = [
        "realm: {name: bench, identity_providers: {google: {type: google, client_id: bench}}}",
        "roles: {viewer: {}, power-user: {includes: [viewer]}}",
        "teams:",
    ]
    for number in range(TEAMS):
        parent = f"parent: team-{number // 10:03}, " if number >= 10 else ""
        lines.append(f"  team-{number:03}: {{{parent}roles: [viewer]}}")
    lines.append("users:")
    for number in range(count):
        name = f"user-{number:05}"
        lines += [
            f"  {name}:",
            f"    email: {name}@example.org",
            "    first_name: Some",
            "    last_name: One",
            "    roles: [viewer, power-user]",
            f"    teams: [team-{number % TEAMS:03}]",
            "    state: active",
            "    mfa: required",
            "    expires: 2027-01-31",
            "    invite: true",
            "    required_actions: [UPDATE_PASSWORD]",
            f"    links: {{google: {{id: '{number}', name: {name}}}}}",
            "    attributes: {theme: dark}",
            f"    proxmox_tokens: {{ci: {{secret: {{controller_file: /etc/steward/{name}}}}}}}",
        ]
    return "\n".join([*lines, ""]).encode()


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
