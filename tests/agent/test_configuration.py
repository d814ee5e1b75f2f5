"""agent.yaml: every mistake names file and key, and nobody but its owner may write it."""

import os
from pathlib import Path

import pytest

from agent.configuration import Loaded, load, parse
from agent.errors import ConfigurationError

WHOLE = b"""
state: /var/lib/steward-agent
socket: /run/steward/executor.sock
metrics: {listen: "127.0.0.1:9095", advertise: "http://web1:9095"}
executor: {network_user: steward-agent, idle_seconds: 300, reserve_mib: 32, restic: /usr/bin/restic}
limits: {kinds: {host.ping: {}, backup.run: {sets: [etc], repositories: [local], approvals: 0}}}
path_sets: {etc: [/etc]}
repositories: {local: {url: /srv/restic, password_file: /run/secrets/restic}}
units: {web: nginx.service}
resources: {backup.run: {seconds: 3600, memory_mib: 1024, processes: 64, output_kib: 16}}
"""


def read(text: bytes, **environ: str) -> Loaded:
    return parse(text, Path("/etc/steward/agent.yaml"), environ)


def test_the_whole_file_is_understood() -> None:
    loaded = read(WHOLE)
    assert loaded.settings.repositories["local"].url == "/srv/restic"
    assert loaded.resources("backup.run").seconds == 3600
    assert loaded.resources("host.ping").seconds == 21_600
    assert loaded.executor_directory == Path("/var/lib/steward-agent/executor")
    assert len(loaded.sha256) == 64


def test_without_limits_only_ping_is_allowed() -> None:
    assert read(b"state: /s").settings.limits == {"kinds": {"host.ping": {}}}


ONE_FILE_FOR_TWO = b"""
state: /s
path_sets: {a.b: [/x], a: [/y]}
repositories: {c: {url: /c, password_file: /p}, b.c: {url: /d, password_file: /p}}
"""
REFUSED: dict[str, tuple[bytes, str]] = {
    "not YAML": (b"state: [", "agent.yaml:1:9"),
    "unknown key": (b"state: /s\nlimit: {}", "limit"),
    "unknown key inside": (b"state: /s\nmetrics: {lissten: x}", "lissten"),
    "no state": (b"socket: /x", "state"),
    "wrong type": (b"state: 5", "state"),
    "key twice": (b"state: /s\nstate: /t", "agent.yaml:2:1: key 'state' stands twice"),
    "anchor": (b"state: &a /s", "anchors are not allowed"),
    "alias": (b"state: /s\nsocket: *a", "anchors are not allowed"),
    "list": (b"- state", "top level"),
    "empty": (b"", "top level"),
    "relative state": (b"state: s", "state: 's' is not an absolute path"),
    "relative path": (b"state: /s\npath_sets: {etc: [etc]}", "path_sets.etc[0]"),
    "option as path": (b"state: /s\npath_sets: {etc: [--all]}", "path_sets.etc[0]"),
    "empty path set": (b"state: /s\npath_sets: {etc: []}", "names no path"),
    "remote repository": (
        b"state: /s\nrepositories: {r: {url: 's3:https://x', password_file: /p}}",
        "repositories.r.url",
    ),
    "repository without password": (b"state: /s\nrepositories: {r: {url: /r}}", "password_file"),
    "limits with more": (b"state: /s\nlimits: {kinds: {}, more: 1}", "limits"),
    "no time": (b"state: /s\nresources: {backup.run: {seconds: 0}}", "resources.backup.run.seconds"),
    "limits of no form": (b"state: /s\nlimits: {kinds: {backup.run: {set: [a]}}}", "limits: Object contains"),
    "approvals below none": (b"state: /s\nlimits: {kinds: {host.ping: {approvals: -1}}}", "approvals"),
    "limits that are text": (b"state: /s\nlimits: {kinds: all}", "limits"),
    "a star inside": (b"state: /s\nlimits: {kinds: {backup.run: {sets: ['a*b']}}}", "sets"),
    "never idle": (b"state: /s\nexecutor: {idle_seconds: 0}", "executor.idle_seconds: 0 is not from 1"),
    "a year": (b"state: /s\nresources: {x: {seconds: 99999999999999999999}}", "resources.x.seconds"),
    "no reserve": (b"state: /s\nexecutor: {reserve_mib: -1}", "executor.reserve_mib"),
    "no port": (b"state: /s\nmetrics: {listen: localhost}", "metrics.listen"),
    "advertised file": (b"state: /s\nmetrics: {advertise: 'file:///x'}", "metrics.advertise"),
    "name that is a path": (b"state: /s\npath_sets: {../x: [/etc]}", "path_sets.'../x'"),
    "one file for two": (ONE_FILE_FOR_TWO, "would leave their state in one file"),
    "NUL": (b'state: "/\\0"', "state"),
    "lone surrogate": (b'state: "/\\ud800"', "state"),
    "NUL in a user's name": (b'state: /s\nexecutor: {network_user: "a\\0"}', "executor.network_user"),
    "option as restic": (b"state: /s\nexecutor: {restic: --help}", "executor.restic"),
    "date": (b"state: /s\nsocket: 2026-13-45", "agent.yaml:2:9: month must be in 1..12"),
    "number that is none": (b"state: !!int x", "tags are not allowed"),
    "list as key": (b"state: /s\n? [a]\n: b", "a key that is not text"),
    "number as key": (b"state: /s\nunits: {5: x}", "agent.yaml:2:9: a key that is not text"),
    "merge": (b"<<: {state: /a}\nstate: /b", "a key that is not text"),
    "deep": (b"[" * 100_000, "nested deeper"),
    "deep maps": (b"{a: " * 100_000, "nested deeper"),
    "bomb": (b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]", "anchors are not allowed"),
    "two documents": (b"state: /s\n---\nstate: /t", "agent.yaml:2:1"),
    "tab": (b"state:\n\t- /s", "agent.yaml:2:1"),
    "not text": (b"\xff\xfe\x00", "agent.yaml"),
    "not UTF-8": (b"state: \xff", "agent.yaml"),
    "too long": (b"#" * ((1 << 20) + 1), "longer than"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_names_file_and_key(case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(ConfigurationError, match=r"agent\.yaml") as caught:
        read(text)
    assert words in str(caught.value)


def test_scalars_come_from_the_environment_too() -> None:
    loaded = read(
        b"state: /s",
        STEWARD_AGENT_STATE="/t",
        STEWARD_AGENT_METRICS_LISTEN="127.0.0.1:1",
        STEWARD_AGENT_EXECUTOR_IDLE_SECONDS="7",
        STEWARD_AGENT_CONFIG="/x",
        HOME="/h",
    )
    assert loaded.state == Path("/t")
    assert loaded.settings.metrics.listen == "127.0.0.1:1"
    assert loaded.settings.executor.idle_seconds == 7


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("STEWARD_AGENT_LIMITS", "{}", "comes from agent.yaml alone"),
        ("STEWARD_AGENT_PATH_SETS", "{}", "comes from agent.yaml alone"),
        ("STEWARD_AGENT_STAET", "/s", "no such setting"),
        ("STEWARD_AGENT_EXECUTOR_IDLE_SECONDS", "soon", "not a whole number"),
    ],
)
def test_the_environment_cannot_widen_or_misspell(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read(b"state: /s", **{name: value})


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(b"state: /s")
    path.chmod(0o646)
    with pytest.raises(ConfigurationError, match="others may write"):
        load(path)
    path.chmod(0o644)
    assert load(path).state == Path("/s")


def test_a_stranger_s_file_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path = tmp_path / "agent.yaml"
    path.write_bytes(b"state: /s")
    path.chmod(0o644)
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to uid 65534"):
        load(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load(tmp_path / "agent.yaml")
