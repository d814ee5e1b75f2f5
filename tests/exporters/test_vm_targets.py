"""Guests as scrape targets."""

from __future__ import annotations

import json

import pytest

from exporters.errors import ExporterError, SettingError
from exporters.vm.build import build, discovery
from exporters.vm.targets import Guest, as_targets, check_template
from tests.exporters.pve import environment, host
from tests.lab_servers import proxmox_lab


def guest(**fields: object) -> Guest:
    given = {
        "id": "qemu/101",
        "vmid": "101",
        "name": "web-01",
        "node": "pve1",
        "type": "qemu",
        "status": "running",
        "tags": ("prod", "owner-ada"),
        "pool": "shop",
        "is_template": False,
        **fields,
    }
    return Guest(**given)


def test_a_target_with_labels():
    assert as_targets([guest()], "{name}.example.org:9100") == [
        {
            "targets": ["web-01.example.org:9100"],
            "labels": {
                "__meta_pve_id": "qemu/101",
                "__meta_pve_vmid": "101",
                "__meta_pve_name": "web-01",
                "__meta_pve_node": "pve1",
                "__meta_pve_type": "qemu",
                "__meta_pve_status": "running",
                "__meta_pve_pool": "shop",
                "__meta_pve_tags": ",prod,owner-ada,",
            },
        }
    ]


@pytest.mark.parametrize(
    ("template", "target"),
    [("{name}:9100", "web-01:9100"), ("vm-{vmid}.{node}.lan:1", "vm-101.pve1.lan:1"), ("{type}", "qemu")],
)
def test_templates(template, target):
    assert as_targets([guest()], check_template(template))[0]["targets"] == [target]


@pytest.mark.parametrize("template", ["", "{owner}:9100", "{name.__class__}", "{}:9100", "{name!r}"])
def test_templates_that_name_something_else(template):
    with pytest.raises(SettingError, match=r"collector\.pve\.target"):
        check_template(template)


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/../b", "a:1", "ä", "x" * 300, "{vmid}"])
def test_a_guest_whose_name_is_no_host_is_no_target(name):
    assert as_targets([guest(name=name)], "{name}:9100") == []


def test_a_template_guest_is_no_target():
    assert as_targets([guest(is_template=True)], "{name}:9100") == []


def test_from_a_cluster_and_after_its_node_died(tmp_path):
    with proxmox_lab(tmp_path, environment(3, 9)) as lab:
        made = host(lab, {"collector.pve.interval": "60s", "collector.pve.target": "{name}.lan:9100"})
        collector = build(made)
        targets = discovery(made, collector)
        found = json.loads(json.dumps(targets()))
        collector.close()
    assert len(found) == 9
    assert found[0]["targets"] == ["guest-0000.lan:9100"]
    assert found[1]["labels"]["__meta_pve_tags"] == ",team-1,owner-1,"


def test_without_a_reading_there_is_no_answer(tmp_path):
    with proxmox_lab(tmp_path, environment(1, 1)) as lab:
        lab.center.faults.down = True
        made = host(lab)
        collector = build(made)
        with pytest.raises(ExporterError):
            discovery(made, collector)()
        collector.close()
