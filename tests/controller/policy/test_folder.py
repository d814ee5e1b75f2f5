"""Folders: files united, bases and overrides, limits, links, and what positions say."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path

import pytest

from controller.policy import PolicyErrors, load, parse

POLICY = "version: 1\nowner: prod\n"


def write(top: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return top


def problems(files: dict[str, str], root: str = "prod") -> list[str]:
    try:
        parse({name: text.encode() for name, text in files.items()}, root)
    except PolicyErrors as errors:
        return str(errors).splitlines()
    return []


def test_sections_are_united_over_files_and_folders():
    policy = parse(
        {
            "prod/policy.yaml": POLICY.encode(),
            "prod/a.yaml": b"users: {ada: {}}\nroles: {viewer: {}}\n",
            "prod/deep/er/b.yaml": b"users:\n  bo: {roles: [viewer]}\n",
            "prod/empty.yaml": b"# nothing\nusers:\n",
            "prod/.hidden/c.yaml": b"not: {read",
            "prod/notes.txt": b"not read",
            "other/d.yaml": b"not: {read",
        },
        "prod",
    )
    assert sorted(policy.users) == ["ada", "bo"]
    assert policy.counts() == {"roles": 1, "users": 2}
    assert policy.files == ("prod/a.yaml", "prod/deep/er/b.yaml", "prod/empty.yaml", "prod/policy.yaml")
    assert str(policy.at("users", "bo")) == "prod/deep/er/b.yaml:2:3"
    assert str(policy.at("users", "bo", "roles", 0)) == "prod/deep/er/b.yaml:2:16"
    assert str(policy.at("users", "bo", "email")) == "prod/deep/er/b.yaml:2:3"
    assert str(policy.at("owner")) == "prod/policy.yaml:2:1"


REFUSED = {
    "no policy.yaml": (
        {"prod/a.yaml": "users: {}\n"},
        ["prod/policy.yaml:1:1: missing: a policy folder holds exactly one policy.yaml"],
    ),
    "nothing at all": ({}, ["prod/policy.yaml:1:1: missing: a policy folder holds exactly one policy.yaml"]),
    "two of them": (
        {"prod/policy.yaml": POLICY, "prod/sub/policy.yaml": "users: {}\n"},
        ["prod/sub/policy.yaml:1:1: exactly one policy.yaml, at the top of the folder: prod/policy.yaml"],
    ),
    "no owner": (
        {"prod/policy.yaml": "version: 1\n"},
        ['prod/policy.yaml:1:1: "owner" is missing: the ownership mark of what this policy manages'],
    ),
    "no version": (
        {"prod/policy.yaml": "owner: prod\n"},
        ['prod/policy.yaml:1:1: "version" is missing: version: 1'],
    ),
    "a version of tomorrow": (
        {"prod/policy.yaml": "version: 2\nowner: prod\n"},
        ["prod/policy.yaml:1:10: 2 is none of 1"],
    ),
    "the other ending": (
        {"prod/policy.yaml": POLICY, "prod/users.yml": "users: {}\n"},
        ["prod/users.yml:1:1: a policy file ends in .yaml; this one would be overlooked"],
    ),
    "a list instead of sections": (
        {"prod/policy.yaml": POLICY, "prod/a.yaml": "- users\n"},
        ["prod/a.yaml:1:1: a file of a policy is a map of sections"],
    ),
    "a list instead of a section, and what points into it": (
        {
            "prod/policy.yaml": POLICY,
            "prod/a.yaml": "roles: [viewer]\n",
            "prod/b.yaml": "users: {ada: {roles: [viewer]}}\n",
        },
        ['prod/a.yaml:1:8: "roles" must be a map'],
    ),
    "the same name in two files": (
        {
            "prod/policy.yaml": POLICY,
            "prod/a.yaml": "roles:\n  viewer: {}\n",
            "prod/b.yaml": "roles: {viewer: {}}\n",
        },
        ['prod/b.yaml:1:9: "viewer" is there already, at prod/a.yaml:2:3'],
    ),
    "a name that only a broken file has": (
        {
            "prod/policy.yaml": POLICY,
            "prod/roles.yaml": "roles: {viewer: {}\n",
            "prod/users.yaml": "users: {ada: {roles: [viewer, nobody]}}\n",
        },
        [
            "prod/roles.yaml:2:1: not YAML: did not find expected ',' or '}'",
            'prod/users.yaml:1:31: unknown role "nobody": roles has no such entry',
        ],
    ),
}


@pytest.mark.parametrize(("files", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(files, expected):
    assert problems(files) == expected


BASE = "roles:\n  viewer: {description: base, proxmox: [VM.Audit, VM.Console]}\nusers: {jo: {}}\n"


def test_bases_are_read_first_and_overridden_field_by_field():
    override = "override:\n  roles: {viewer: {proxmox: [VM.Audit]}}\n  users: {jo: {email: jo@example.org}}\n"
    policy = parse(
        {
            "common/roles.yaml": BASE.encode(),
            "prod/policy.yaml": f"{POLICY}extends: [../common]\n{override}".encode(),
        },
        "prod",
    )
    assert policy.roles["viewer"].description == "base"
    assert policy.roles["viewer"].proxmox == ("VM.Audit",)
    assert str(policy.at("roles", "viewer", "proxmox", 0)) == "prod/policy.yaml:5:30"
    assert str(policy.at("roles", "viewer", "description")) == "common/roles.yaml:2:25"
    assert [str(note) for note in policy.overridden] == [
        "prod/policy.yaml:5:29: overrides roles.viewer.proxmox instead of common/roles.yaml:2:40",
        "prod/policy.yaml:6:23: overrides users.jo.email",
    ]


def test_a_base_may_have_bases_and_be_shared():
    policy = parse(
        {
            "base/all.yaml": b"roles: {viewer: {}}\n",
            "eu/policy.yaml": b"version: 1\nextends: [../base]\nlimits: {delete_after: 10d}\n",
            "eu/all.yaml": b"roles: {auditor: {includes: [viewer]}}\n",
            "prod/policy.yaml": f"{POLICY}extends: [../eu, ../base]\n".encode(),
        },
        "prod",
    )
    assert sorted(policy.roles) == ["auditor", "viewer"]
    assert policy.limits.delete_after is not None


EXTENDING = {
    "itself": ("extends: [../prod]\n", ['prod/policy.yaml:3:11: extends goes in a circle: "prod" → "prod"']),
    "out of the repository": (
        "extends: [../../etc]\n",
        ["prod/policy.yaml:3:11: extends leads out of the repository"],
    ),
    "an absolute path": ("extends: [/etc]\n", ["prod/policy.yaml:3:11: extends leads out of the repository"]),
    "nothing": ("extends: [../comon]\n", ['prod/policy.yaml:3:11: extends: no *.yaml files in "comon"']),
    "no list": ("extends: ../common\n", ['prod/policy.yaml:3:10: "extends" must be a list']),
    "no text": ("extends: [7]\n", ["prod/policy.yaml:3:11: must be the path of a folder"]),
    "the same name again": (
        "extends: [../common]\nusers: {jo: {}}\n",
        ['prod/policy.yaml:4:9: "jo" is there already, at common/roles.yaml:3:9'],
    ),
    "an override without target": (
        "extends: [../common]\noverride: {users: {joe: {}}, rols: {}}\n",
        [
            'prod/policy.yaml:4:20: override has nothing to change: users has no "joe"; did you mean "jo"?',
            'prod/policy.yaml:4:30: unknown section "rols"; did you mean "roles"?',
        ],
    ),
    "an override with mistakes": (
        "extends: [../common]\noverride: {users: {jo: {state: gone, nick: j}}}\n",
        [
            'prod/policy.yaml:4:32: "gone" is none of active, disabled, absent',
            'prod/policy.yaml:4:38: unknown key "nick"',
        ],
    ),
    "an override that is no map": (
        "extends: [../common]\noverride: {users: [jo]}\n",
        ['prod/policy.yaml:4:19: "users" must be a map'],
    ),
}


@pytest.mark.parametrize(("lines", "expected"), EXTENDING.values(), ids=EXTENDING.keys())
def test_extends_and_override_refused(lines, expected):
    assert problems({"common/roles.yaml": BASE, "prod/policy.yaml": POLICY + lines}) == expected


def test_a_circle_over_two_folders():
    files = {
        "a/policy.yaml": f"{POLICY}extends: [../b]\n",
        "b/policy.yaml": "version: 1\nextends: [../a]\n",
        "a/x.yaml": "users: {ada: {roles: [unknown]}}\n",
    }
    assert problems(files, "a") == ['b/policy.yaml:2:11: extends goes in a circle: "a" → "b" → "a"']


def test_the_digest_is_of_names_and_contents_and_not_of_the_place():
    files = {"prod/policy.yaml": POLICY.encode(), "prod/a.yaml": b"users: {}\n"}
    moved = {name.replace("prod/", "deep/prod/"): data for name, data in files.items()}
    first = parse(files, "prod").digest
    assert first == parse(moved, "deep/prod").digest
    assert first != parse({**files, "prod/a.yaml": b"users: {} \n"}, "prod").digest
    assert len(first) == 64


def test_a_folder_on_disk_shows_paths_as_they_were_given(tmp_path):
    write(tmp_path, {"policies/prod/policy.yaml": POLICY, "policies/prod/a.yaml": "users: {Ada: {}}\n"})
    for given, shown in (
        ("policies/prod", "policies/prod/a.yaml"),
        ("./policies/prod/", "policies/prod/a.yaml"),
        (str(tmp_path / "policies/prod"), str(tmp_path / "policies/prod/a.yaml")),
    ):
        with chdir(tmp_path), pytest.raises(PolicyErrors) as caught:
            load(Path(given))
        assert str(caught.value).startswith(f"{shown}:1:9: ")
    with chdir(tmp_path / "policies" / "prod"), pytest.raises(PolicyErrors) as caught:
        load(Path())
    assert str(caught.value).startswith("../prod/a.yaml:1:9: ")


def test_a_folder_on_disk_finds_its_bases(tmp_path):
    write(
        tmp_path,
        {"common/roles.yaml": BASE, "prod/policy.yaml": f"{POLICY}extends: [../common]\n"},
    )
    policy = load(tmp_path / "prod")
    assert str(policy.at("roles", "viewer")) == f"{tmp_path}/common/roles.yaml:2:3"


def test_nothing_outside_of_the_repository_is_read(tmp_path):
    outside = write(
        tmp_path / "outside", {"secret.yaml": "users: {spy: {}}\n", "deep/more.yaml": "users: {spy2: {}}\n"}
    )
    repository = write(
        tmp_path / "repository",
        {
            "prod/policy.yaml": f"{POLICY}extends: [../../outside]\n",
            "shared/inside.yaml": "users: {ada: {}}\n",
        },
    )
    (repository / ".git").mkdir()
    (repository / "prod" / "link.yaml").symlink_to(outside / "secret.yaml")
    (repository / "prod" / "folder").symlink_to(outside / "deep")
    (repository / "prod" / "inside").symlink_to(repository / "shared")
    (repository / "prod" / "loop").symlink_to(repository / "prod")
    (repository / "prod" / "gone.yaml").symlink_to(repository / "nowhere.yaml")
    with pytest.raises(PolicyErrors) as caught:
        load(repository / "prod")
    prod = repository / "prod"
    assert str(caught.value).splitlines() == [
        f"{prod}/folder:1:1: a link out of the repository is not followed",
        f"{prod}/gone.yaml:1:1: cannot be read: No such file or directory",
        f"{prod}/link.yaml:1:1: a link out of the repository is not followed",
        f"{prod}/policy.yaml:3:11: extends leads out of the repository",
    ]
    for name in ("folder", "gone.yaml", "link.yaml"):
        (prod / name).unlink()
    (prod / "policy.yaml").write_text(POLICY)
    assert sorted(load(prod).users) == ["ada"]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text(POLICY)
    with pytest.raises(PolicyErrors, match="cannot be read: Not a directory"):
        load(tmp_path / "file")


def test_a_pipe_is_not_waited_for(tmp_path):
    write(tmp_path, {"prod/policy.yaml": POLICY})
    os.mkfifo(tmp_path / "prod" / "pipe.yaml")
    with pytest.raises(PolicyErrors, match=r"pipe\.yaml:1:1: cannot be read: not a regular file"):
        load(tmp_path / "prod")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(PolicyErrors, match=r"nowhere/policy.yaml:1:1: there is no folder .*nowhere"):
        load(tmp_path / "nowhere")


def test_a_folder_over_the_limit(tmp_path):
    files = {f"prod/{number:02}.yaml": b"# " + b"x" * 4_900_000 for number in range(11)}
    with pytest.raises(PolicyErrors, match="holds more than 50 MB"):
        parse({"prod/policy.yaml": POLICY.encode(), **files}, "prod")
