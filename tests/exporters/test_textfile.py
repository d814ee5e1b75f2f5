"""Text files: the parser against Prometheus' own of Python and node_exporter's of Go, and what happens to
files that conflict, change, or are no files.
"""

from __future__ import annotations

import logging
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporters.collector import Collector
from exporters.errors import ExporterError
from exporters.registry import Registry, Source
from exporters.samples import Kind, Metric
from exporters.system.textfile import MOST_BYTES, MOST_FILES, TextFiles
from exporters.system.textfile_parse import MOST_SERIES, Reason, TextError, parse
from exporters.table import SYSTEM
from exporters.text import Renderer
from tests.exporters import exposition
from tests.exporters.reference import theirs
from tests.exporters.trees import host, tree

GOOD = b"""# a comment
# HELP backup_seconds How long it took, "quoted" \\\\ and\\nfolded.
# TYPE backup_seconds gauge
backup_seconds{job="daily",path="C:\\\\new"} 12.5
backup_seconds{ job = "weekly" , path = "say \\"hi\\"\\n" , } 1e3
\tbackup_seconds -Inf

backup_seconds{job="odd",region=""}NaN
untold_total 18446744073709551615
# TYPE empty counter
# TYPE waits histogram
waits_bucket{queue="a",le="0.5"} 1
waits_bucket{queue="a",le="1000000"} 2
waits_bucket{queue="a",le="1.0"} 2
waits_count{queue="a"} 3
waits_sum{queue="a"} 4.5
# HELP took Took.
# TYPE took SUMMARY
took{quantile="0.5"} 0.25
took{quantile="0.9"} 3
took_count 9
"""


def series(text):
    """Series by metric name, suffix and labels, for comparison."""
    return {
        (family.name + suffix, labels): value
        for family in parse(text)
        for (suffix, labels), value in family.series.items()
    }


class TestGood:
    def test_plain_series(self):
        found = series(GOOD)
        assert found["backup_seconds", (("job", "daily"), ("path", "C:\\new"))] == 12.5
        assert found["backup_seconds", (("job", "weekly"), ("path", 'say "hi"\n'))] == 1000
        assert found["backup_seconds", ()] == -math.inf
        assert math.isnan(found["backup_seconds", (("job", "odd"),)])

    def test_types_and_helps(self):
        kinds = {family.name: (family.kind, family.help) for family in parse(GOOD)}
        assert kinds == {
            "backup_seconds": (Kind.GAUGE, 'How long it took, "quoted" \\ and\nfolded.'),
            "untold_total": (Kind.UNTYPED, None),
            "waits": (Kind.HISTOGRAM, None),
            "took": (Kind.SUMMARY, "Took."),
        }

    def test_histograms_are_made_whole(self):
        found = [(key, value) for key, value in series(GOOD).items() if key[0].startswith("waits")]
        a = ("queue", "a")
        assert found == [
            (("waits_bucket", (("le", "0.5"), a)), 1),
            (("waits_bucket", (("le", "1"), a)), 2),
            (("waits_bucket", (("le", "1e+06"), a)), 2),
            (("waits_bucket", (("le", "+Inf"), a)), 3),
            (("waits_sum", (a,)), 4.5),
            (("waits_count", (a,)), 3),
        ]

    def test_a_sum_that_is_not_told_is_zero(self):
        assert series(GOOD)["took_sum", ()] == 0

    def test_an_empty_text(self):
        assert parse(b"") == parse(b"\n# x\n  ") == []

    def test_a_name_with_the_suffix_of_another_type(self):
        assert series(b"# TYPE a gauge\na 1\na_sum 2\n") == {("a", ()): 1, ("a_sum", ()): 2}

    def test_a_line_of_a_megabyte(self):
        value = '\\"\\n' * (1 << 18)
        ((_, labels),) = series(f'a{{b="{value}"}} 1\n'.encode())
        assert len(labels[0][1]) == 1 << 19


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(b"a 1", Reason.MALFORMED, id="no line feed at the end"),
        pytest.param(b"a 1\nb", Reason.MALFORMED, id="half a line"),
        pytest.param(b"a 1\n# HE", Reason.MALFORMED, id="half a comment"),
        pytest.param(b"a 1 1700000000000\n", Reason.TIMESTAMP, id="time stamp"),
        pytest.param(b"a 1\na 2\n", Reason.DUPLICATE, id="twice"),
        pytest.param(b'a{b=""} 1\na 2\n', Reason.DUPLICATE, id="twice, since an empty label is none"),
        pytest.param(
            b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1.0"} 1\n',
            Reason.DUPLICATE,
            id="same bucket",
        ),
        pytest.param(b"a 1 \n", Reason.MALFORMED, id="blank at the end"),
        pytest.param(b"a 1\r\n", Reason.MALFORMED, id="carriage return"),
        pytest.param(b"a one\n", Reason.MALFORMED, id="no number"),
        pytest.param(b"a 1_000\n", Reason.MALFORMED, id="underscore"),
        pytest.param(b"a 0x10\n", Reason.MALFORMED, id="hexadecimal"),
        pytest.param("a ١\n".encode(), Reason.MALFORMED, id="other digits"),
        pytest.param(b"a 1e999\n", Reason.MALFORMED, id="too large"),
        pytest.param(b"a 1,5\n", Reason.MALFORMED, id="comma"),
        pytest.param(b"a\n", Reason.MALFORMED, id="no value"),
        pytest.param(b"1a 1\n", Reason.MALFORMED, id="name"),
        pytest.param("ä 1\n".encode(), Reason.MALFORMED, id="letters that are not ASCII"),
        pytest.param(b"a\xff 1\n", Reason.MALFORMED, id="not UTF-8"),
        pytest.param(b"a{b=1} 1\n", Reason.MALFORMED, id="no quotes"),
        pytest.param(b'a{b="1"c="2"} 1\n', Reason.MALFORMED, id="no comma"),
        pytest.param(b'a{b="1",,} 1\n', Reason.MALFORMED, id="two commas"),
        pytest.param(b'a{b="\\x"} 1\n', Reason.MALFORMED, id="unknown escape"),
        pytest.param(b'a{b="1",b="2"} 1\n', Reason.MALFORMED, id="label twice"),
        pytest.param(b'a{__name__="b"} 1\n', Reason.MALFORMED, id="reserved label"),
        pytest.param(b'a{b="1" 1\n', Reason.MALFORMED, id="no brace"),
        pytest.param(b'{b="1"} 1\n', Reason.MALFORMED, id="no name"),
        pytest.param(b"# TYPE a speed\na 1\n", Reason.MALFORMED, id="unknown type"),
        pytest.param(b"# TYPE a gauge\n# TYPE a gauge\na 1\n", Reason.MALFORMED, id="TYPE twice"),
        pytest.param(b"# HELP a A.\n# HELP a A.\na 1\n", Reason.MALFORMED, id="HELP twice"),
        pytest.param(b"a 1\n# TYPE a gauge\n", Reason.MALFORMED, id="TYPE after samples"),
        pytest.param(b"# HELP a \\t\na 1\n", Reason.MALFORMED, id="escape in HELP"),
        pytest.param(b"# HELP 1a A.\n", Reason.MALFORMED, id="name in HELP"),
        pytest.param(b"# TYPE h histogram\nh 1\n", Reason.MALFORMED, id="histogram without suffix"),
        pytest.param(b"# TYPE h histogram\nh_bucket 1\n", Reason.MALFORMED, id="bucket without le"),
        pytest.param(
            b'# TYPE h histogram\nh_bucket{le="x"} 1\n', Reason.MALFORMED, id="le that is no number"
        ),
        pytest.param(b'# TYPE h histogram\nh_sum{le="1"} 1\n', Reason.MALFORMED, id="sum with le"),
        pytest.param(b"# TYPE h histogram\nh_count -1\n", Reason.MALFORMED, id="negative count"),
        pytest.param(b"# TYPE h summary\nh_count NaN\n", Reason.MALFORMED, id="count that is no number"),
    ],
)
def test_texts_that_are_refused(text, reason):
    with pytest.raises(TextError) as raised:
        parse(text)
    assert raised.value.reason is reason
    assert "line " in str(raised.value)


names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
label_names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,5}", fullmatch=True).filter(
    lambda name: name not in ("le", "quantile")
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)
numbers = st.one_of(
    st.floats().map(lambda value: repr(value).replace("inf", "Inf").replace("nan", "NaN")),
    st.integers(-(10**15), 10**15).map(str),
    st.sampled_from(["+Inf", "1.", ".5", "+3", "1E3"]),
)


def escaped(value):
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@st.composite
def texts(draw):
    lines = []
    for name in draw(st.lists(names, unique=True, max_size=4)):
        if draw(st.booleans()):
            lines.append(f"# HELP {name} {escaped(draw(words)).strip() or 'x'}")
        lines.append(f"# TYPE {name} {draw(st.sampled_from(['counter', 'gauge', 'untyped']))}")
        for labels in draw(st.lists(st.dictionaries(label_names, words, max_size=3), max_size=3)):
            pairs = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
            lines.append(f"{name}{{{pairs}}} {draw(numbers)}" if pairs else f"{name} {draw(numbers)}")
    return "".join(line + "\n" for line in lines)


@given(texts())
def test_prometheus_own_parser_reads_the_same(text):
    reference = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted((name, value) for name, value in sample.labels.items() if value))
            reference.setdefault((sample.name, labels), []).append(sample.value)
    if any(len(found) > 1 for found in reference.values()):
        with pytest.raises(TextError):
            parse(text.encode())
        return
    found = series(text.encode())
    # It adds _total to the names of counters, as OpenMetrics would have it.
    assert {
        (name.removesuffix("_total"), labels): repr(float(value)) for (name, labels), value in found.items()
    } == {
        (name.removesuffix("_total"), labels): repr(float(value))
        for (name, labels), (value,) in reference.items()
    }


@given(st.one_of(st.binary(max_size=60), texts().map(str.encode)), st.integers(0, 60), st.binary(max_size=3))
def test_damaged_texts_are_refused_or_read(text, place, extra):
    try:
        families = parse(text[:place] + extra + text[place:])
    except TextError:
        return
    assert all(family.kind is not None and family.series for family in families)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "textfile"
    path.mkdir()
    return path


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.prom").write_bytes(text if isinstance(text, bytes) else text.encode())


def read(collector):
    return exposition.parse(Renderer().render(collector.collect()))


def faults(seen):
    return {
        (dict(labels)["file"].rpartition("/")[2], dict(labels)["reason"])
        for name, labels in seen.values
        if name == "steward_textfile_error"
    }


class TestFiles:
    def test_no_folder(self):
        assert read(TextFiles(())).values == {("node_textfile_scrape_error", frozenset()): 0}

    def test_a_good_and_a_bad_file(self, folder):
        write(folder, good="a 1\n", bad="b 1\nc")
        seen = read(TextFiles([str(folder)]))
        assert seen.of("a") == 1
        assert "b" not in seen.names()
        assert faults(seen) == {("bad.prom", "malformed")}
        assert seen.of("node_textfile_scrape_error") == 1
        mtime = int((folder / "good.prom").stat().st_mtime)
        assert seen.of("node_textfile_mtime_seconds", file=f"{folder}/good.prom") == mtime
        assert [name for name, _ in seen.values].count("node_textfile_mtime_seconds") == 1

    @pytest.mark.parametrize(
        ("first", "second", "fault"),
        [
            ("# TYPE a gauge\na 1\n", "# TYPE a counter\na{b='2'} 2\n".replace("'", '"'), "type"),
            ("# HELP a A.\na 1\n", '# HELP a B.\na{b="2"} 2\n', "help"),
            ("a 1\n", "a 2\n", "duplicate"),
            ("a_sum 1\n", "# TYPE a summary\na_count 2\n", "type"),
            ("a 1\n", "node_textfile_scrape_error 0\n", "taken"),
        ],
    )
    def test_conflicts_cost_the_family_of_the_later_file(self, folder, first, second, fault):
        write(folder, a=first, b=second + "other 5\n")
        seen = read(TextFiles([str(folder)]))
        assert faults(seen) == {("b.prom", fault)}
        assert seen.of("other") == 5
        assert seen.of("node_textfile_scrape_error") == 1
        assert seen.of(first.splitlines()[-1].split()[0]) == 1

    def test_families_of_several_files_come_together(self, folder):
        write(
            folder,
            a='# HELP a A.\n# TYPE a gauge\na{x="1"} 1\n',
            b='# TYPE a gauge\na{y="2"} 2\n',
            c="d 1\n",
            e='d{z="1"} 2\n',
        )
        seen = read(TextFiles([str(folder)]))
        assert seen.of("a", x="1", y="") == 1
        assert seen.of("a", x="", y="2") == 2
        assert seen.helps["a"] == "A."
        assert seen.helps["d"] == f"Metric read from {folder}/c.prom, {folder}/e.prom"
        assert not faults(seen)

    def test_globs_and_several_folders(self, tmp_path):
        for name in ("one", "two", ".hidden"):
            (tmp_path / "d" / name).mkdir(parents=True)
            (tmp_path / "d" / name / "x.prom").write_text(f"from_{name.strip('.')} 1\n")
        (tmp_path / "plain").mkdir()
        (tmp_path / "plain" / "x.prom").write_text("from_plain 1\n")
        (tmp_path / "plain" / "x.txt").write_text("no")
        seen = read(TextFiles([str(tmp_path / "d" / "*"), str(tmp_path / "plain") + "/"]))
        assert {"from_one", "from_two", "from_hidden", "from_plain"} <= seen.names()
        assert seen.of("node_textfile_mtime_seconds", file=f"{tmp_path}/plain/x.prom") > 0

    def test_a_folder_that_is_not_there(self, tmp_path):
        seen = read(TextFiles([str(tmp_path / "none")]))
        assert faults(seen) == {("none", "unreadable")}

    def test_what_is_no_file(self, folder):
        os.mkfifo(folder / "pipe.prom")
        (folder / "folder.prom").mkdir()
        (folder / "link.prom").symlink_to(folder / "nowhere")
        seen = read(TextFiles([str(folder)]))
        assert faults(seen) == {(f"{name}.prom", "unreadable") for name in ("pipe", "folder", "link")}

    def test_a_name_that_is_not_utf_8(self, folder):
        (folder / os.fsdecode(b"caf\xe9.prom")).write_bytes(b"a 1\n")
        assert (
            read(TextFiles([str(folder)])).of("node_textfile_mtime_seconds", file=f"{folder}/caf\ufffd.prom")
            > 0
        )

    def test_limits(self, folder):
        write(folder, large=b"#" * (MOST_BYTES + 1))
        for place in range(MOST_FILES):
            write(folder, **{f"m{place:04d}": "\n"})
        write(folder, z="a 1\n")
        seen = read(TextFiles([str(folder)]))
        assert faults(seen) == {
            ("large.prom", "too_large"),
            (folder.name, "too_many"),  # one series, however many files are passed over
        }

    def test_a_file_with_too_many_series_leaves_room_for_others_and_is_tried_again_when_there_is_more(
        self, folder
    ):
        half = "".join(f'%s{{i="{place}"}} 1\n' for place in range(MOST_SERIES // 2 + 1))
        write(folder, a=half.replace("%s", "a"), b=half.replace("%s", "b"), c="c 1\n")
        files = TextFiles([str(folder)])
        seen = read(files)
        assert faults(seen) == {("b.prom", "too_many")}
        assert ("a" in seen.names(), "b" in seen.names(), seen.of("c")) == (True, False, 1)
        (folder / "a.prom").unlink()
        seen = read(files)
        assert faults(seen) == set()
        assert "b" in seen.names()

    def test_files_are_parsed_again_only_when_they_have_changed(self, folder):
        write(folder, a="a 1\n")
        files = TextFiles([str(folder)])
        first = files.collect()
        assert files.collect() is first
        write(folder, a="a 22\n")
        assert read(files).of("a") == 22
        (folder / "a.prom").unlink()
        assert "a" not in read(files).names()

    def test_a_fault_is_logged_once_with_its_line(self, folder, caplog):
        write(folder, a="a 1\nb b\n")
        files = TextFiles([str(folder)])
        with caplog.at_level(logging.WARNING):
            files.collect()
            write(folder, c="c 1\n")
            files.collect()
        (record,) = caplog.records
        assert record.reason == "malformed: line 2: no number for b"


class TestNamesOfOthers:
    """A metric belongs to one collector, and text files give way."""

    @staticmethod
    def registry(folder, *others):
        row = next(row for row in SYSTEM if row.name == "textfile")
        given = host(tree("server"), {"collector.textfile.directory": str(folder)})
        textfile = Source("textfile", row.build(given))
        sources = [
            Source(name, Collector(lambda name=name: [Metric(name, Kind.GAUGE, "Ours.").one(7)]))
            for name in others
        ]
        return Registry([*sources[:1], textfile, *sources[1:]], fresh_seconds=0)

    @pytest.mark.parametrize("others", [("ours",), ("other", "ours")], ids=["before", "after"])
    async def test_a_name_of_another_collector_is_a_fault_of_the_file(self, folder, others):
        write(folder, a="ours 1\nmine 2\n")
        made = self.registry(folder, *others)
        first = exposition.parse((await made.scrape()).text.decode())
        second = exposition.parse((await made.scrape()).text.decode())
        made.close()
        assert (first.of("ours"), second.of("ours")) == (7, 7)
        assert second.of("mine") == 2
        assert faults(second) == {("a.prom", "taken")}

    async def test_a_name_that_was_free_is_given_back(self, folder):
        write(folder, a="ours 1\n")
        made = self.registry(folder, "other", "ours")
        alone = exposition.parse((await made.scrape(("textfile",))).text.decode())
        await made.scrape()
        together = exposition.parse((await made.scrape()).text.decode())
        made.close()
        assert (alone.of("ours"), together.of("ours")) == (1, 7)

    async def test_nobody_can_say_how_collectors_fare_but_the_registry(self, folder):
        write(folder, a='node_scrape_collector_success{collector="cpu"} 1\n')
        made = self.registry(folder, "other")
        seen = exposition.parse((await made.scrape()).text.decode())
        made.close()
        assert faults(seen) == {("a.prom", "taken")}


class TestSameAsNodeExporter:
    def test_good_files(self, folder, tmp_path):
        write(
            folder,
            good=GOOD,
            more='untold_total{job="x"} 5\n',
            other="# HELP told Told.\n# TYPE told counter\ntold 0\n",
        )
        reference = theirs(tmp_path, ("textfile",), flags=(f"--collector.textfile.directory={folder}",))
        ours = read(TextFiles([str(folder)]))
        assert {name: ours.kinds[name] for name in reference.kinds if name in ours.kinds} == {
            name: kind
            for name, kind in reference.kinds.items()
            if not name.startswith(("node_scrape_", "node_exporter_"))
        }
        assert _told(ours) == _told(reference)

    @pytest.mark.parametrize(
        "text",
        [
            b"a 1",
            b"a 1 5\n",
            b"a 1 \n",
            b"a 1_0\n",
            b'a{b="1",,} 1\n',
            b"a 1\r\n",
            b"# TYPE a gauge \na 1\n",
            b"# HELP a \\t\na 1\n",
        ],
    )
    def test_what_one_refuses_the_other_refuses(self, folder, tmp_path, text):
        write(folder, bad=text, good="fine 1\n")
        flags = (f"--collector.textfile.directory={folder}",)
        reference, ours = theirs(tmp_path, ("textfile",), flags=flags), read(TextFiles([str(folder)]))
        assert reference.of("fine") == ours.of("fine") == 1
        assert reference.of("node_textfile_scrape_error") == ours.of("node_textfile_scrape_error") == 1
        assert "a" not in reference.names() | ours.names()


def _told(seen):
    """Series without labels that are empty, and values that are comparable."""
    return {
        (name, frozenset((key, value) for key, value in labels if value)): repr(value)
        for (name, labels), value in seen.values.items()
        if not name.startswith(("node_scrape_", "node_exporter_", "steward_"))
    }


def test_errors_are_of_our_family():
    assert issubclass(TextError, ExporterError)
