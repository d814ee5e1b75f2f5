"""`steward-agent verify`, as its own small program."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest

from agent.errors import AgentError
from agent.verify_cli import add_parser, run
from tests.protocol.make_vectors import FOLDER
from tests.protocol.scene import HOST, NOW, PING, RESTART, action, chain, restart, trust_step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., int]:
    """Runs the command over files with these texts."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())

    def run_it(*arguments: str, **files: str) -> int:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        args = parser.parse_args(["verify", *(a.replace("@", f"{tmp_path}/") for a in arguments)])
        assert args.run is run
        return args.run(args)

    return run_it


DELIVERY = ("@delivery", "--trust", "@trust", "--limits", "@limits", "--host", HOST, "--now", str(NOW))
TRUST = json.dumps(chain(trust_step()))


def test_accepted(verify, capsys) -> None:
    assert verify(*DELIVERY, delivery=action(), trust=TRUST, limits=json.dumps(PING)) == 0
    assert capsys.readouterr().out == "accepted\n"


def test_refused_with_its_reason(verify, capsys) -> None:
    assert verify(*DELIVERY, delivery=action(host_id="0" * 26), trust=TRUST, limits=json.dumps(PING)) == 3
    assert capsys.readouterr().out == "refused: wrong_host\n"


def test_limits_of_a_whole_agent_yaml(verify, capsys) -> None:
    settings = f"state: /var/lib/steward-agent\nlimits: {json.dumps(RESTART)}\n"
    assert verify(*DELIVERY, delivery=restart(), trust=TRUST, limits=settings) == 3
    assert capsys.readouterr().out == "refused: request_bad_signature\n"


@pytest.mark.parametrize(
    "limits",
    [
        '{"state":"/s","limits":{"kinds":{"host.ping":{}}}}',
        "limits: {kinds: {host.ping: {}}}\n",
        "kinds:\n  host.ping: {}\n",
        "{kinds: {host.ping: {}}}",
        "state: /s\n",
        "{}",
    ],
    ids=["agent.yaml in JSON", "limits alone", "kinds alone", "flow YAML", "none: the default", "empty"],
)
def test_limits_in_every_form(limits: str, verify, capsys) -> None:
    assert verify(*DELIVERY, delivery=action(), trust=TRUST, limits=limits) == 0
    assert capsys.readouterr().out == "accepted\n"


def test_a_delivery_of_any_length(verify, capsys) -> None:
    assert verify(*DELIVERY, delivery=" " * 600_000, trust=TRUST, limits="{}") == 3
    assert capsys.readouterr().out == "refused: too_large\n"


def test_all_published_vectors(verify, capsys) -> None:
    paths = sorted(FOLDER.glob("*.json"))
    assert verify("--vector", *map(str, paths)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(paths)
    assert "accepted_ping: accepted" in lines
    assert "memory_replayed: replayed" in lines


def test_a_vector_that_differs(verify, capsys) -> None:
    good = json.loads((FOLDER / "accepted_ping.json").read_text())
    assert verify("--vector", "@v", v=json.dumps(good | {"expect": "replayed"})) == 3
    printed = capsys.readouterr()
    assert printed.out == "accepted_ping: accepted\n"
    assert "expected replayed" in printed.err


@pytest.mark.parametrize(
    "files",
    [
        {"trust": "{}", "limits": "{}"},
        {"trust": "steward", "limits": "{}"},
        {"trust": TRUST, "limits": "limits: {kinds: {host.ping: 5}}"},
        {"trust": TRUST, "limits": "{broken"},
        {"trust": TRUST, "limits": '{"kinds": {}, "kinds": {}}'},
        {"trust": TRUST, "limits": ""},
        {"trust": TRUST, "limits": '{"a":' * 100_000},
        {"trust": '{"a":' * 100_000, "limits": "{}"},
        {"trust": TRUST, "limits": "\0"},
        {"trust": TRUST},
    ],
    ids=[
        *("no bundle", "no json", "bad limits", "broken limits", "limits twice"),
        *("empty limits", "deep limits", "deep trust", "NUL", "no limits"),
    ],
)
def test_files_that_cannot_be_used(verify, files: dict[str, str]) -> None:
    with pytest.raises(AgentError, match=r"limits|trust"):
        verify(*DELIVERY, delivery=action(), **files)


@pytest.mark.parametrize("text", ["{}", "", "[" * 100_000, '{"name":"a\\nb: accepted"}', "null"])
def test_a_vector_that_is_none(text: str, verify) -> None:
    with pytest.raises(AgentError):
        verify("--vector", "@v", v=text)


def test_a_vector_s_name_cannot_forge_a_line(verify) -> None:
    good = json.loads((FOLDER / "accepted_ping.json").read_text())
    with pytest.raises(AgentError):
        verify("--vector", "@v", v=json.dumps(good | {"name": "x: accepted\ny"}))


@pytest.mark.parametrize("arguments", [(), ("@delivery",), ("@delivery", "--vector", "@v")])
def test_wrong_usage(verify, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        verify(*arguments)
    assert caught.value.code == 2
