"""Guests as scrape targets, for Prometheus' HTTP service discovery.

https://prometheus.io/docs/prometheus/latest/http_sd/. From the collector's last reading; asking reads nothing
anew.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporters.errors import SettingError
from exporters.samples import Number
from exporters.vm.families import shown
from exporters.vm.world import World

_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELDS = ("name", "vmid", "node", "type")
# RFC 1123: what a guest is called has to be a name of a host, or it is no address to scrape.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,252})")


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest as last read; `tags` in the order of the API; a template never runs.

    The numbers are None where nobody tells them: of guests of dead nodes, or without the privilege.
    """

    id: str
    vmid: str
    name: str
    node: str
    type: str
    status: str
    tags: tuple[str, ...]
    pool: str
    is_template: bool
    cpu_ratio: Number | None = None
    memory_bytes: Number | None = None
    memory_limit_bytes: Number | None = None
    uptime_seconds: Number | None = None


def guests(world: World, *, only_local: bool) -> tuple[Guest, ...]:
    """The guests of a reading."""
    return tuple(
        Guest(
            id=row.id,
            vmid=row.vmid,
            name=row.name,
            node=row.node,
            type=row.kind,
            status=row.status,
            tags=tuple(filter(None, re.split(r"[;, ]", row.tags))),
            pool=row.pool,
            is_template=row.template == "1",
            cpu_ratio=row.numbers.get("cpu"),
            memory_bytes=row.numbers.get("mem"),
            memory_limit_bytes=row.numbers.get("maxmem"),
            uptime_seconds=row.numbers.get("uptime"),
        )
        for row in shown(world, only_local=only_local)
        if row.is_guest
    )


def check_template(template: str) -> str:
    """The template of a target; raises SettingError where it has another field than these."""
    unknown = [name for name in _FIELD.findall(template) if name not in _FIELDS]
    if unknown or not template:
        fields = ", ".join(f"{{{name}}}" for name in _FIELDS)
        raise SettingError(f"--collector.pve.target: {template!r} may hold {fields} and no other field")
    return template


def as_targets(found: Iterable[Guest], template: str) -> list[Mapping[str, object]]:
    """A target group for each guest that has a name to be reached by: [{targets, labels}, …]."""
    return [
        {"targets": [_target(guest, template)], "labels": _labels(guest)}
        for guest in found
        if not guest.is_template and _HOST.fullmatch(guest.name)
    ]


def _target(guest: Guest, template: str) -> str:
    values = {"name": guest.name, "vmid": guest.vmid, "node": guest.node, "type": guest.type}
    return _FIELD.sub(lambda match: values[match[1]], template)


def _labels(guest: Guest) -> Mapping[str, str]:
    tags = f",{','.join(guest.tags)}," if guest.tags else ""
    return {
        "__meta_pve_id": guest.id,
        "__meta_pve_vmid": guest.vmid,
        "__meta_pve_name": guest.name,
        "__meta_pve_node": guest.node,
        "__meta_pve_type": guest.type,
        "__meta_pve_status": guest.status,
        "__meta_pve_pool": guest.pool,
        "__meta_pve_tags": tags,
    }
