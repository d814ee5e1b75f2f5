"""``steward user set`` and ``user import``: the policy is edited where people stand, or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller.cli.main import main
from controller.editing.unasked import ALL, unasked
from controller.editing.workspace import Workspace
from controller.errors import ControllerError
from controller.policy.folder import load
from controller.policy.teams import members

if TYPE_CHECKING:
    from collections.abc import Iterator

PEOPLE = """\
# who works here
users:
  jo: {email: jo@example.org, roles: [viewer]}  # the first
  bo:
    # from the lab
    email: "bo@example.org"
    roles:
      - viewer  # for now
      - editor
    teams: [lab]
"""
MORE = """\
teams:
  science: {}
  lab: {parent: science, members: [jo]}
users:
  cy: {state: disabled, attributes: {theme: dark}}
"""
SETTINGS = "version: 1\nowner: prod\nextends: [../common]\n"
BASE = """\
roles: {viewer: {}, editor: {}, auditor: {}}
users:
  root: {roles: [auditor], mfa: required}  # everywhere
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for name, text in {
        "common/base.yaml": BASE,
        "prod/policy.yaml": SETTINGS,
        "prod/people.yaml": PEOPLE,
        "prod/more.yaml": MORE,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with chdir(tmp_path):  # so that messages show short paths
        yield tmp_path / "prod"


def steward(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_changes_stand_where_the_person_does(folder: Path) -> None:
    assert steward("user", "set", "jo", "bo", "cy", "role+=auditor", "mfa=required", "prod", "--yes") == 0
    assert (folder / "people.yaml").read_text() == PEOPLE.replace(
        "roles: [viewer]}", "roles: [viewer, auditor], mfa: required}"
    ).replace("      - editor\n", "      - editor\n      - auditor\n").replace(
        "    teams: [lab]\n", "    teams: [lab]\n    mfa: required\n"
    )
    assert (folder / "more.yaml").read_text() == MORE.replace(
        "{state: disabled,", "{roles: [auditor], mfa: required, state: disabled,"
    )


def test_people_of_a_base_are_changed_under_override(folder: Path) -> None:
    assert steward("user", "set", "root", "role+=viewer", "mfa=", "prod", "-y") == 0
    assert (folder / "policy.yaml").read_text() == (
        "version: 1\nowner: prod\nextends: [../common]\noverride:\n  users:\n    root:\n"
        "      roles: [auditor, viewer]\n      mfa: optional\n"
    )
    assert (folder.parent / "common/base.yaml").read_text() == BASE
    assert steward("user", "set", "root", "role-=auditor", "prod", "-y") == 0  # now it stands in the override
    assert load(folder).users["root"].roles == ("viewer",)
    assert (folder.parent / "common/base.yaml").read_text() == BASE


def test_teams_are_left_wherever_the_membership_stands(folder: Path) -> None:
    assert steward("user", "set", "--where", "team=science", "team-=lab", "team+=science", "prod", "-y") == 0
    assert members(load(folder)) == {"lab": frozenset(), "science": {"jo", "bo"}}
    assert "  lab: {parent: science, members: []}" in (folder / "more.yaml").read_text()
    assert steward("user", "set", "jo", "teams=lab,science", "prod", "-y") == 0
    assert members(load(folder))["lab"] == {"jo"}


WHERE = {
    ("team=lab",): {"jo", "bo"},
    ("team=science",): {"jo", "bo"},
    ("role=viewer",): {"jo", "bo"},
    ("role=viewer", "email=j*"): {"jo"},
    ("state=disabled",): {"cy"},
    ("name=?o",): {"jo", "bo"},
    ("mfa=required",): {"root"},
}


@pytest.mark.parametrize("conditions", WHERE, ids=" ".join)
def test_where(folder: Path, conditions: tuple[str, ...]) -> None:
    words = [word for condition in conditions for word in ("--where", condition)]
    assert steward("user", "set", *words, "last_name=Found", "prod", "--yes") == 0
    found = {name for name, user in load(folder).users.items() if user.last_name == "Found"}
    assert found == WHERE[conditions]


def test_every_field_can_be_set_and_cleared(folder: Path) -> None:
    changes = [
        "expires=2027-01-31",
        "invite=true",
        "attributes.desk=4.1",
        "email=cy@example.org",
        "last_name=D.",
    ]
    assert steward("user", "set", "cy", *changes, "prod", "-y") == 0
    cy = load(folder).users["cy"]
    assert (str(cy.expires), cy.invite, cy.attributes) == (
        "2027-01-31",
        True,
        {"theme": "dark", "desk": "4.1"},
    )
    assert steward("user", "set", "cy", "expires=", "invite=", "attributes.theme=", "prod", "-y") == 0
    cy = load(folder).users["cy"]
    assert (cy.expires, cy.invite, cy.attributes) == (None, False, {"desk": "4.1"})


def test_what_is_said_already_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert (
        steward("user", "set", "bo", "role+=viewer", "email=bo@example.org", "team+=lab", "prod", "-y") == 0
    )
    assert "says so already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


REFUSED = {
    ("jo", "role+=vewer", "prod", "-y"): (1, 'unknown role "vewer"; did you mean "viewer"?'),
    ("jo", "email=bo@example.org", "prod", "-y"): (1, "is the address of"),
    ("jo", "state=gone", "prod", "-y"): (1, "none of active, disabled, absent"),
    ("jo", "team+=labs", "prod", "-y"): (1, 'no team "labs"\nhint: did you mean "lab"?'),
    ("joe", "mfa=required", "prod", "-y"): (1, 'names no user "joe"\nhint: did you mean "jo"?'),
    ("jo", "mail=x", "prod", "-y"): (1, 'no field "mail"\nhint: did you mean "email"?'),
    ("jo", "email+=x", "prod", "-y"): (1, "email holds one value"),
    ("jo", "team+=", "prod", "-y"): (1, "nothing to add or take"),
    ("jo", "attributes=x", "prod", "-y"): (1, "attributes.NAME=VALUE"),
    ("--where", "state=disabld", "mfa=required", "prod", "-y"): (1, 'state is never "disabld"'),
    ("--where", "teams=lab", "mfa=required", "prod", "-y"): (1, "is no condition"),
    ("jo", "mfa=required", "bo", "role+=viewer", "prod", "-y"): (1, "the order is: names"),
    ("jo", "prod", "-y"): (64, "say what is to change"),
    ("mfa=required", "prod", "-y"): (64, "say who"),
    ("jo", "mfa=required", "prod"): (64, "needs --yes"),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_refused(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, told = REFUSED[words]
    assert steward("user", "set", *words) == code
    assert told in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_nobody(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert steward("user", "set", "--where", "name=x*", "mfa=required", "prod", "-y") == 0
    assert "nobody has name=x*" in capsys.readouterr().out
    assert (folder / "people.yaml").read_text() == PEOPLE


def test_a_difference_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert steward("user", "set", "jo", "mfa=required", "prod", "--diff") == 0
    shown = capsys.readouterr().out
    assert "--- a/prod/people.yaml\n+++ b/prod/people.yaml\n" in shown
    assert "+  jo: {email: jo@example.org, roles: [viewer], mfa: required}  # the first" in shown
    assert (folder / "people.yaml").read_text() == PEOPLE


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(folder: Path) -> None:
    workspace = Workspace(folder)
    for name in ("jo", "cy"):
        workspace.set("users", name, ("mfa",), "required")
    edits = workspace.finished()
    (folder / "more.yaml").write_text(MORE + "# theirs\n")
    with pytest.raises(ControllerError, match="was changed by somebody else"):
        edits.write()
    assert (folder / "people.yaml").read_text() == PEOPLE
    assert (folder / "more.yaml").read_text() == MORE + "# theirs\n"


def test_what_nobody_asked_for_is_never_written(folder: Path) -> None:
    """The last line of defence: an edit that says more than its caller declared."""
    policy = load(folder)
    jo = policy.users["jo"].model_copy(update={"roles": (), "email": ""})
    after = policy.model_copy(update={"users": {**policy.users, "jo": jo}})
    assert list(unasked(policy, after, {("users", "jo"): {"roles", "email"}})) == []
    assert list(unasked(policy, after, {("users", "jo"): {"roles"}})) == ["users/jo"]
    assert list(unasked(policy, after, {("users", "bo"): {ALL}})) == ["users/jo"]


def test_links_out_of_the_repository_are_not_formatted(folder: Path) -> None:
    (folder.parent / ".git").mkdir()
    outside = folder.parent.parent / f"{folder.parent.name}-outside.yaml"
    outside.write_text("users:   {}\n")
    (folder / "link.yaml").symlink_to(outside)
    assert steward("fmt", "prod") == 0
    assert outside.read_text() == "users:   {}\n"


def test_a_file_keeps_its_mode_and_a_link_stays_one(folder: Path) -> None:
    (folder / "people.yaml").rename(folder / "elsewhere.txt")
    (folder / "people.yaml").symlink_to("elsewhere.txt")
    os.chmod(folder / "elsewhere.txt", 0o640)  # noqa: PTH101
    assert steward("user", "set", "jo", "mfa=required", "prod", "-y") == 0
    assert (folder / "people.yaml").is_symlink()
    assert stat.S_IMODE((folder / "elsewhere.txt").stat().st_mode) == 0o640
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


TABLES = {
    "commas": "username,email,roles,mfa\nal,al@example.org,viewer;editor,required\n",
    "semicolons and a mark, as a spreadsheet writes": (
        '\ufeffUsername;Email;Roles;MFA\r\nal;al@example.org;"viewer;editor";required\r\n'
    ),
    "tabs": "username\temail\troles\tmfa\nal\tal@example.org\tviewer, editor\trequired\n\n",
    "columns that are empty": (
        "username,email,first_name,roles,mfa,state\nal,al@example.org,,viewer editor,required,\n"
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_people(folder: Path, name: str) -> None:
    Path("new.csv").write_bytes(TABLES[name].encode())
    assert steward("user", "import", "new.csv", "prod", "--yes") == 0
    assert (folder / "people.yaml").read_text() == PEOPLE + (
        "  al:\n    email: al@example.org\n    roles: [viewer, editor]\n    mfa: required\n"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_encodings(folder: Path, encoding: str) -> None:
    Path("new.csv").write_bytes("username,last_name\nal,Müller\n".encode(encoding))
    assert (
        steward("user", "import", "new.csv", "prod", "--yes", "--encoding", encoding, "--file", "new/al.yaml")
        == 0
    )
    assert (folder / "new/al.yaml").read_text() == "users:\n  al:\n    last_name: Müller\n"


def test_update_changes_what_the_cells_say(folder: Path) -> None:
    Path("new.csv").write_text(
        "username,email,roles,teams,state\njo,,editor,,disabled\nal,,,lab,\nbo,,,science,\n"
    )
    assert steward("user", "import", "new.csv", "prod", "--yes") == 1
    assert steward("user", "import", "new.csv", "prod", "--yes", "--update") == 0
    policy = load(folder)
    assert (policy.users["jo"].roles, policy.users["jo"].state) == (("editor",), "disabled")
    assert policy.users["jo"].email == "jo@example.org"
    assert members(policy) == {"lab": {"jo", "al"}, "science": {"bo"}}


def test_every_mistake_of_a_table_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.csv").write_text(
        "username;email;roles;teams;mfa;expires;phone\n"
        "Zoe;zoe@example.org;viewr;labs;requried;31.01.2027;1\n"
        "jo;;;;;;\n"
        ";x@example.org;;;;;\n"
        "al;bo@example.org;;;;;\n"
        "al;;;;;;\n"
        "cy2;ZOE@example.org;;;;;;9\n"
    )
    assert steward("user", "import", "bad.csv", "prod", "--yes") == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in told] == [
        "bad.csv:1:7", "bad.csv:2:1", "bad.csv:2:3", "bad.csv:2:4", "bad.csv:2:5", "bad.csv:2:6",
        "bad.csv:3:1", "bad.csv:4:1", "bad.csv:5:2", "bad.csv:6:1", "bad.csv:7:2", "bad.csv:7:8",
    ]  # fmt: skip
    assert 'did you mean "viewer"?' in told[2]
    assert (folder / "people.yaml").read_text() == PEOPLE


BROKEN = {
    "nothing": (b"", "the table is empty"),
    "no header": (b"jo,jo@example.org\n", "no column is known"),
    "no username": (b"email,roles\nx@example.org,\n", "the column username is missing"),
    "another encoding": ("username,last_name\nal,Müller\n".encode("latin-1"), "bad.csv:2:1: not utf-8 here"),
    "an open quote": (b'username,email\nal,"x\n', "not CSV"),
    "a key for a lock": (b"username,last_name\nal,glpat-aaaaaaaaaaaaaaaaaaaaaa\n", "looks like a secret"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    data, told = BROKEN[name]
    Path("bad.csv").write_bytes(data)
    assert steward("user", "import", "bad.csv", "prod", "--yes") == 1
    assert told in capsys.readouterr().err
    assert (folder / "people.yaml").read_text() == PEOPLE


def test_ten_thousand_people(folder: Path) -> None:
    rows = [f"p{number},p{number}@example.org,viewer,lab" for number in range(10_000)]
    Path("many.csv").write_text("\n".join(["username,email,roles,teams", *rows]) + "\n")
    assert steward("user", "import", "many.csv", "prod", "--yes", "--file", "many.yaml") == 0
    assert len(load(folder).users) == 10_004
    assert steward("fmt", "prod/many.yaml", "--check") == 0
