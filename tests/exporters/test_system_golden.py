"""What the collectors make of the saved trees. `python -m tests.exporters.test_system_golden` writes the
files anew.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.exporters.exposition import parse
from tests.exporters.trees import GOLDEN, TREES, render, tree
from tests.real.servers import real_server

NAMING = ("snake_case", "use base unit", "abbreviated units", '"_total" suffix')
"""What promtool says of names that node_exporter made and dashboards ask for."""


def golden(name):
    return GOLDEN / f"system_{name}.prom"


@pytest.mark.parametrize("name", TREES)
def test_the_text_is_the_golden_one(name):
    assert render(tree(name)) == golden(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TREES)
def test_each_metric_has_a_type_and_a_help(name):
    seen = parse(golden(name).read_text(encoding="utf-8"))
    assert seen.names() == set(seen.kinds) == set(seen.helps)
    assert all(seen.helps.values())


@pytest.mark.parametrize("name", TREES)
def test_prometheus_reads_the_text(name):
    """Linted as Prometheus does; it may complain of nothing but how node_exporter names its metrics."""
    argv = [str(real_server("promtool")), "check", "metrics"]
    done = subprocess.run(argv, input=golden(name).read_bytes(), capture_output=True, check=False)
    complaints = (done.stdout + done.stderr).decode().splitlines()
    assert [line for line in complaints if not is_naming(line)] == []


def is_naming(complaint):
    return complaint.startswith("node_") and any(words in complaint for words in NAMING)


def test_an_old_kernel_lacks_what_it_does_not_tell():
    seen = parse(render(tree("old")))
    assert seen.of("node_cpu_seconds_total", cpu="0", mode="steal") == 0
    assert "node_disk_discards_completed_total" not in seen.names()
    assert "node_memory_MemAvailable_bytes" not in seen.names()
    assert seen.of("node_procs_running") == 0  # node_exporter says so too
    assert "node_cpu_online" not in seen.names()
    assert "node_time_clocksource_current_info" not in seen.names()


if __name__ == "__main__":
    for each in TREES:
        golden(each).write_text(render(tree(each)), encoding="utf-8")
