"""What a change of the policy means: fields, people, places, and what is no change at all."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings

from controller.comparing import compare
from controller.policy import parse
from tests.controller.stage import policy_of
from tests.controller.test_entitlements import policies

BASE = """\
realm: {name: acme, sessions: {idle: 30m}}
roles:
  viewer: {proxmox: [VM.Audit]}
  power: {includes: [viewer], api: ["vm:power"], proxmox: [VM.Audit, VM.PowerMgmt]}
teams:
  research: {members: [jo], roles: [viewer]}
users:
  jo: {email: jo@example.org}
  al: {roles: [power]}
  eve: {roles: [viewer]}
machines:
  web-01: {vmid: 101, assigned: {users: {al: power}, teams: {research: viewer}}}
"""

SAME = {
    "comments and blanks": BASE.replace("users:", "# people\n\nusers:"),
    "another order": BASE.replace("  al: {roles: [power]}\n", "").replace(
        "  jo: {", "  al: {roles: [power]}\n  jo: {"
    ),
    "a list in another order": BASE.replace("[VM.Audit, VM.PowerMgmt]", "[VM.PowerMgmt, VM.Audit]"),
    "a default written out": BASE.replace("{roles: [power]}", "{roles: [power], state: active}"),
    "a membership that moves to the person": BASE.replace("members: [jo], ", "").replace(
        "{email: jo@example.org}", "{email: jo@example.org, teams: [research]}"
    ),
    "the same length of time": BASE.replace("30m", "1800s"),
    "a switch written out": BASE.replace("{roles: [power]}", "{roles: [power], invite: false}"),
    "an address in capitals": BASE.replace("jo@example.org", "Jo@Example.ORG"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME.keys())
def test_the_same(text):
    assert compare(policy_of(BASE), policy_of(text)).is_same


def told(found) -> list[str]:
    """The comparison in lines: differences, then effects."""
    lines = [
        f"{one.kind} {one.section} {one.name} {one.field}: {one.before} -> {one.after} @{one.source.line}"
        for one in found.differences
    ]
    for one in found.effects:
        sign, where = "+" if one.gains else "-", f" on {one.where}" if one.where else ""
        lines.append(f"{sign} {' '.join(one.people)}: {one.what}{where} [{one.way}]")
    return lines


CHANGED = {
    "a field": (
        ("sessions: {idle: 30m}", "sessions: {idle: 1h}"),
        ["changed realm  sessions.idle: 30m -> 1h @1"],
    ),
    "a field that is no longer given is left alone": (
        (", sessions: {idle: 30m}", ""),
        ["changed realm  sessions: {'idle': '30m'} -> None @1"],
    ),
    "a text that is cleared, not left alone": (
        ("viewer: {proxmox", "viewer: {description: '', proxmox"),
        ["changed roles viewer description: None ->  @3"],
    ),
    "a role through a team": (
        ("members: [jo], roles: [viewer]", "members: [jo], roles: [power]"),
        [
            "changed teams research roles: ['viewer'] -> ['power'] @6",
            "+ jo: role power [through team research]",
            "+ jo: API vm:power [through role power]",
        ],
    ),
    "a team through the person": (
        ("eve: {roles: [viewer]}", "eve: {roles: [viewer], teams: [research]}"),
        [
            "changed users eve teams: [] -> ['research'] @10",
            "+ eve: VM.Audit on machine web-01 [through team research]",
        ],
    ),
    "a team through the team": (
        ("members: [jo]", "members: [jo, eve]"),
        [
            "changed users eve teams: [] -> ['research'] @6",
            "+ eve: VM.Audit on machine web-01 [through team research]",
        ],
    ),
    "a privilege of a role": (
        ("proxmox: [VM.Audit, VM.PowerMgmt]", "proxmox: [VM.Audit]"),
        [
            "changed roles power proxmox: ['VM.Audit', 'VM.PowerMgmt'] -> ['VM.Audit'] @4",
            "- al: VM.PowerMgmt on machine web-01 [own]",
        ],
    ),
    "a composite": (
        ("includes: [viewer], ", ""),
        [
            "changed roles power includes: ['viewer'] -> [] @4",
            "- al: role viewer [through role power]",
        ],
    ),
    "somebody who goes": (
        ("  eve: {roles: [viewer]}\n", ""),
        [
            "removed users eve : {'roles': ['viewer']} -> None @10",
            "- eve: log in []",
            "- eve: role viewer [own]",
        ],
    ),
    "somebody who is disabled": (
        ("eve: {roles: [viewer]}", "eve: {roles: [viewer], state: disabled}"),
        ["changed users eve state: active -> disabled @10", "- eve: log in []"],
    ),
    "an own entry that masks the team's": (
        ("users: {al: power}", "users: {al: power, jo: power}"),
        [
            "changed machines web-01 assigned.users.jo: None -> power @12",
            "+ jo: VM.PowerMgmt on machine web-01 [own]",
        ],
    ),
    "something new": (
        ("machines:", "pools: {gpu: {comment: c, assigned: {teams: {research: viewer}}}}\nmachines:"),
        [
            "added pools gpu : None -> {'comment': 'c', 'assigned': {'teams': {'research': 'viewer'}}} @11",
            "+ jo: VM.Audit on pool gpu [through team research]",
        ],
    ),
}


@pytest.mark.parametrize(("step", "expected"), CHANGED.values(), ids=CHANGED.keys())
def test_what_differs(step, expected):
    assert step[0] in BASE
    found = compare(policy_of(BASE), policy_of(BASE.replace(*step)))
    assert told(found) == expected
    assert not found.is_same


def test_settings_are_compared_too():
    before = parse({"policy.yaml": b"version: 1\nowner: prod\nlimits: {delete_after: 30d}\n"}, "")
    after = parse({"policy.yaml": b"version: 1\nowner: prod\nlimits: {delete_after: 8w}\n"}, "")
    assert told(compare(before, after)) == ["changed limits  delete_after: 30d -> 56d @3"]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(policies(), policies())
def test_there_and_back_is_the_mirror_image(one, other):
    there, back = compare(one, other), compare(other, one)
    assert compare(one, one).is_same
    assert there.is_same == back.is_same
    shape = {(effect.what, effect.where, effect.people, effect.gains) for effect in there.effects}
    mirrored = {(effect.what, effect.where, effect.people, not effect.gains) for effect in back.effects}
    assert {part[:2] for part in shape} == {part[:2] for part in mirrored}
    assert len(there.differences) == len(back.differences)


def steward(folder, *arguments: str, code: int = 2) -> str:
    command = [sys.executable, "-c", "from controller.cli.main import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(folder, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text("version: 1\nowner: prod\n")
    (folder / "all.yaml").write_text(text)


def test_folders_on_the_command_line(tmp_path):
    write(tmp_path / "old", BASE)
    changed = BASE.replace("members: [jo], roles: [viewer]", "members: [jo], roles: [power]")
    write(tmp_path / "new", changed.replace("users: {al: power}, ", ""))
    printed = [" ".join(line.split()) for line in steward(tmp_path, "diff", "old", "new").splitlines()]
    assert printed == [
        "the policy",
        "~ team research roles +power -viewer new/all.yaml:6",
        "~ machine web-01 assigned.users.al power → not given new/all.yaml:12",
        "",
        "people",
        "- al no longer has VM.Audit VM.PowerMgmt on machine web-01 old/all.yaml:12",
        "+ jo gains role power through team research new/all.yaml:6",
        "+ jo gains API vm:power through role power new/all.yaml:4",
        "",
        "2 things of the policy differ, 2 people affected",
    ]
    as_json = json.loads(steward(tmp_path, "diff", "old", "new", "--output", "json"))
    assert as_json["same"] is False
    assert as_json["differences"][0]["after_at"] == "new/all.yaml:6:36"
    markdown = steward(tmp_path, "diff", "old", "new", "--output", "markdown")
    assert "| + | jo | gains role power through team research | new/all.yaml:6 |" in markdown
    assert "the same" in steward(tmp_path, "diff", "old", "old", code=0)
    assert "there is no folder" in steward(tmp_path, "diff", "old", "newer", code=1)


def git(folder, *arguments: str) -> None:
    person = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *person, *arguments], cwd=folder, check=True, capture_output=True)


def test_commits_on_the_command_line(tmp_path):
    repository = tmp_path / "policies"
    write(repository / "prod", BASE)
    (repository / "common").mkdir()
    (repository / "common" / "roles.yaml").write_text("roles: {extra: {}}\n")
    (repository / "prod" / "policy.yaml").write_text("version: 1\nowner: prod\nextends: [../common]\n")
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=one")
    (repository / "common" / "roles.yaml").write_text("roles: {extra: {includes: [viewer]}}\n")
    git(repository, "commit", "--quiet", "--all", "--message=two")
    (repository / "prod" / "all.yaml").write_text("not committed: [")
    arguments = ("--git", "policies", "--folder", "prod")
    printed = steward(tmp_path, "diff", "main~1", "main", *arguments)
    assert "role extra  includes +viewer" in printed
    assert "common/roles.yaml:1" in printed
    steward(tmp_path, "diff", "main", "main", *arguments, code=0)
    (repository / "prod" / "all.yaml").write_text(BASE.replace("[power]", "[powr]"))
    git(repository, "commit", "--quiet", "--all", "--message=three")
    wrong = steward(tmp_path, "diff", "main~1", "main", *arguments, code=1)
    assert 'main:prod/all.yaml:9:16: unknown role "powr"; did you mean "power"?' in wrong
    assert "has no commit mian" in steward(tmp_path, "diff", "mian", "main", *arguments, code=1)
    assert "give --git too" in steward(tmp_path, "diff", "a", "b", "--folder", "prod", code=1)


def test_what_differs_in_the_same_way_is_told_once_and_fits_into_a_comment(tmp_path):
    before = "".join(f"  user{n:05}: {{email: user{n}@example.org}}\n" for n in range(2000))
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for folder, people in (("old", before), ("new", before.replace(".org}", ".org, mfa: required}"))):
        (tmp_path / folder / "policy.yaml").write_text("version: 1\nowner: prod\n")
        (tmp_path / folder / "all.yaml").write_text(f"users:\n{people}")
    shown = steward(tmp_path, "diff", "old", "new", code=2).splitlines()
    assert shown[1].startswith("  ~ 2000 users  mfa optional → required · user00000, user00001")
    assert shown[-1] == "2000 things of the policy differ, no people affected"
    renamed = before.replace("example.org", "example.com")
    (tmp_path / "new" / "all.yaml").write_text(f"users:\n{renamed}")
    posted = steward(tmp_path, "diff", "old", "new", "--output", "markdown", code=2)
    assert len(posted) < 62_000
    assert "more: `steward diff` shows all of them." in posted
