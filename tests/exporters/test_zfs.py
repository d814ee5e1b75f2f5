"""ZFS: the kstats of a saved Proxmox host, against node_exporter, and files that are none."""

from __future__ import annotations

import shutil

import pytest

from exporters.errors import NoDataError, SourceError
from exporters.system import zfs
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.reference import compare
from tests.exporters.trees import FIXTURES, at, tree

KSTATS = "proc/spl/kstat/zfs"


@pytest.fixture
def folder(tmp_path):
    """The ZFS of the saved host, which the test may damage."""
    shutil.copytree(FIXTURES / "pve" / KSTATS, tmp_path / KSTATS)
    return tmp_path


def seen(folder):
    return parse(Renderer().render(zfs.Kstats().collect(zfs.read(at(folder)))))


async def test_the_same_as_node_exporter(tmp_path):
    found = await compare(tmp_path, ("zfs",), FIXTURES / "pve")
    if not found.is_modern and found.missing() | found.extra():
        pytest.skip("this node_exporter is older and knows other files")
    assert (found.missing(), found.extra(), found.other_kinds(), found.other_values()) == (
        set(),
        set(),
        {},
        {},
    )


def test_pools_and_data_sets(folder):
    found = seen(folder)
    assert found.of("node_zfs_zpool_state", zpool="tank", state="degraded") == 1
    assert found.of("node_zfs_zpool_state", zpool="tank", state="online") == 0
    assert found.of("node_zfs_zpool_nwritten", zpool="tank") == 2680501248
    assert found.of("node_zfs_zpool_dataset_writes", zpool="tank", dataset="tank/iso and templates") == 7
    assert found.of("node_zfs_arc_memory_available_bytes") == -922337203
    assert found.of("node_zfs_fm_erpt_dropped") == 18


def test_no_zfs():
    with pytest.raises(NoDataError):
        zfs.read(tree("server"))


def test_an_exported_pool_is_gone(folder):
    shutil.rmtree(folder / KSTATS / "tank")
    assert {dict(labels).get("zpool") for _, labels in seen(folder).values} == {None, "rpool"}


def test_a_pool_without_some_of_its_files(folder):
    (folder / KSTATS / "tank" / "io").unlink()
    (folder / KSTATS / "tank" / "state").unlink()
    found = seen(folder)
    assert found.of("node_zfs_zpool_dataset_reads", zpool="tank", dataset="tank/iso and templates") == 3
    assert not [labels for name, labels in found.values if "state" in name and ("zpool", "tank") in labels]


def test_an_unknown_state_is_none_of_the_known(folder):
    (folder / KSTATS / "tank" / "state").write_text("MELTED\n")
    assert (
        sum(
            value
            for (name, labels), value in seen(folder).values.items()
            if ("zpool", "tank") in labels and name == "node_zfs_zpool_state"
        )
        == 0
    )


def test_rows_stay_while_the_pools_do(folder):
    kstats = zfs.Kstats()
    first, second = [kstats.collect(zfs.read(at(folder))) for _ in range(2)]
    assert all(a.rows is b.rows and a.metric is b.metric for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("arcstats", "hits 4 1\n"),
        ("arcstats", ""),
        ("arcstats", "name type data\nhits 4 many\n"),
        (
            "tank/io",
            "nread nwritten reads writes wtime wlentime wupdate rtime rlentime rupdate wcnt rcnt\n1 2\n",
        ),
        ("tank/objset-0x24", "name type data\nwrites 4 x\n"),
    ],
)
def test_files_that_are_no_kstats(folder, name, text):
    (folder / KSTATS / name).write_text(text)
    with pytest.raises(SourceError):
        seen(folder)


def test_bytes_that_are_not_utf_8(folder):
    text = b"name type data\ndataset_name 7 tank/caf\xe9\nwrites 4 5\n"
    (folder / KSTATS / "tank" / "objset-0x24").write_bytes(text)
    assert seen(folder).of("node_zfs_zpool_dataset_writes", zpool="tank", dataset="tank/caf\ufffd") == 5


def test_names_that_no_metric_may_have(folder):
    text = "6 1\nname type data\nerpt-set,failed 4 5\n"
    (folder / KSTATS / "fm").write_text(text)
    assert seen(folder).of("node_zfs_fm_erpt_set_failed") == 5
