"""What a plan of a whole Proxmox cluster costs: requests, wall clock and our own processor time.

1,000 guests, 500 people, 2,000 entries on the lab's Proxmox; whole commands, process start included. What
stands beside it is what reading object by object would cost, as Ansible's and Terraform's modules do it.
"""

import json
import tempfile
from collections import Counter
from pathlib import Path

from bench.measuring import NO_CHANGES, best, print_head, print_line, steward
from bench.policies import configure
from lab.proxmox.accounts import Entry, Token, User
from lab.proxmox.datacenter import Datacenter
from lab.proxmox.server import application_for, new_datacenter
from lab.serving import serve_in_thread
from lab.tls import Authority

GUESTS, PEOPLE, ENTRIES_EACH = 1_000, 500, 4
PLANS = 3
PLAN_SECONDS = 1.5
MOST_REQUESTS = 10
TOKEN_ID, TOKEN_SECRET = "steward@pve!controller", "3f6c3f2e-0000-4000-8000-000000000001"


def run() -> None:
    """Measure and print. Raises BenchError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        center = _center()
        authority = Authority.create(folder)
        with serve_in_thread(application_for(center, delays=False), tls=authority.server_context()) as url:
            (folder / "token").write_text(TOKEN_SECRET)
            cluster = {
                "url": url,
                "ca_file": str(authority.ca_file),
                "token_id": TOKEN_ID,
                "token_secret_file": "token",
            }
            configure(folder, proxmox={"par1": cluster})
            _write_policy(folder / "policies")
            _measure(folder, center)


def _measure(folder: Path, center: Datacenter) -> None:
    made = steward(folder, "apply", "policies", "--yes", code=NO_CHANGES)
    center.requests.clear()
    plans = [steward(folder, "plan", "policies", code=NO_CHANGES) for _ in range(PLANS)]
    requests = center.requests.total() / PLANS
    one_by_one = GUESTS + PEOPLE
    print_head(f"{GUESTS} guests, {PEOPLE} people, {PEOPLE * ENTRIES_EACH} entries on a Proxmox")
    print_line("requests of an empty plan", requests, MOST_REQUESTS, "")
    print_line("steward plan, nothing to do", best(plans).seconds, PLAN_SECONDS, "s")
    print_line("peak memory, plan", best(plans).peak_bytes / 1e6, 300.0, "MB")
    print(f"object by object: {one_by_one} requests, {one_by_one / requests:.0f} times ours")
    print(
        f"steward apply of all of it: {made.seconds:.1f} s, our own processor time {made.cpu_seconds:.1f} s"
    )
    print("asked for: " + ", ".join(f"{path} x{count // PLANS}" for path, count in _sorted(center.requests)))


def _sorted(requests: Counter[str]) -> list[tuple[str, int]]:
    return sorted(requests.items())


def _center() -> Datacenter:
    nodes = [{"node": f"pve{number}", "id": number, "online": 1, "ip": "127.0.0.1"} for number in (1, 2, 3)]
    guests = [
        {
            "vmid": 100 + number,
            "type": "qemu",
            "node": f"pve{number % 3 + 1}",
            "config": f"name: vm-{number:04}\n",
        }
        for number in range(GUESTS)
    ]
    center = new_datacenter(
        {
            "nodes": nodes,
            "guests": guests,
            "storages": ["local"],
            "live_statistics": True,
            "cluster_name": "par1",
        }
    )
    center.accounts.users["steward@pve"] = User(tokens={"controller": Token(privsep=0)})
    center.accounts.acl[Entry("/", "user", "steward@pve", "Administrator")] = 1
    center.token_values[TOKEN_ID] = TOKEN_SECRET
    center.realms.by_name["keycloak"] = {"type": "openid", "issuer-url": "https://kc.example.org/realms/acme"}
    center.accounts.settle()
    return center


def _write_policy(folder: Path) -> None:
    folder.mkdir()
    roles = {"viewer": {"proxmox": ["VM.Audit"]}, "operator": {"proxmox": ["VM.Audit", "VM.PowerMgmt"]}}
    users = {f"user-{number:03}": {"email": f"user-{number:03}@example.org"} for number in range(PEOPLE)}
    machines: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for number in range(PEOPLE * ENTRIES_EACH):
        machine = machines.setdefault(f"vm-{number % GUESTS:04}", {"assigned": {"users": {}}})
        role = "viewer" if number % 2 else "operator"
        machine["assigned"]["users"][f"user-{number // ENTRIES_EACH:03}"] = role
    (folder / "policy.yaml").write_text("version: 1\nowner: bench\n")
    for section, entries in (("roles", roles), ("users", users), ("machines", machines)):
        lines = [f"  {name}: {json.dumps(entry)}" for name, entry in entries.items()]
        (folder / f"{section}.yaml").write_text("\n".join([f"{section}:", *lines]) + "\n")
