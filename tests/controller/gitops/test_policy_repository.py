"""The policy's mirror, over real Git repositories: what is read, what is refused, whose word counts."""

from __future__ import annotations

import pytest

from controller import gitops
from controller.following import PolicyFollower
from controller.gitops import GitError, PolicyRepository, PolicyTooLargeError
from controller.store import Store
from tests.controller.gitops.repository import SETTINGS, Source


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path / "source")


@pytest.fixture
def mirror(tmp_path, source):
    return PolicyRepository(tmp_path / "mirror.git", str(source.path), "main")


def test_files_are_read_as_they_were_committed(source, mirror):
    first = source.commit({"prod/policy.yaml": SETTINGS, "prod/users.yaml": "users: {}\n", "README": "x"})
    assert mirror.fetch() == first
    second = source.commit({"prod/users.yaml": "users: {jo: {}}\n"})
    assert mirror.fetch() == second
    assert mirror.files(first, "prod") == {
        "prod/policy.yaml": SETTINGS.encode(),
        "prod/users.yaml": b"users: {}\n",
    }
    assert mirror.files(second, "prod")["prod/users.yaml"] == b"users: {jo: {}}\n"
    assert mirror.files(second, "nowhere") == {}
    assert (mirror.is_ancestor(first, second), mirror.is_ancestor(second, first)) == (True, False)
    assert not mirror.is_ancestor("0" * 40, second)


@pytest.mark.parametrize("name", ["a b.yaml", "é.yaml", 'quo"te.yaml', "new\nline.yaml", "-dash.yaml"])
def test_odd_names_are_names(source, mirror, name):
    source.commit({f"prod/{name}": "x: 1\n"})
    assert mirror.files(mirror.fetch(), "prod") == {f"prod/{name}": b"x: 1\n"}


def test_a_link_shows_nothing_from_elsewhere(source, mirror):
    source.path.joinpath("prod").mkdir()
    source.path.joinpath("prod/users.yaml").symlink_to("/etc/passwd")
    source.commit({})
    with pytest.raises(GitError, match=r"prod/users.yaml .* is a link"):
        mirror.files(mirror.fetch(), "prod")


def test_too_much_is_refused(source, mirror):
    source.commit({"prod/big.yaml": "#" * (gitops.MAX_FILE_BYTES + 1)})
    with pytest.raises(PolicyTooLargeError, match=r"prod/big.yaml"):
        mirror.files(mirror.fetch(), "prod")


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("ext::sh -c touch% {marker}", id="runs-a-command"),
        pytest.param("--upload-pack=touch {marker}", id="an-option"),
        pytest.param("/nowhere/at/all", id="not-there"),
    ],
)
def test_an_address_is_never_a_command(tmp_path, address):
    marker = tmp_path / "marker"
    mirror = PolicyRepository(tmp_path / "m.git", address.format(marker=marker), "main")
    with pytest.raises(GitError):
        mirror.fetch()
    assert not marker.exists()


def test_a_git_that_hangs_is_ended_with_its_children(tmp_path, source):
    source.commit({"prod/policy.yaml": SETTINGS})
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nsleep 300 &\nwait\n")
    slow.chmod(0o700)
    mirror = PolicyRepository(
        tmp_path / "m.git", str(source.path), "main", timeout_seconds=0.2, program=str(slow)
    )
    with pytest.raises(GitError, match="took longer"):
        mirror.fetch()


def test_without_git_the_hint_says_so(tmp_path):
    mirror = PolicyRepository(tmp_path / "m.git", "/x", "main", program="/nowhere/git")
    with pytest.raises(GitError) as told:
        mirror.fetch()
    assert told.value.hint == "install git"


@pytest.fixture
def follower(tmp_path, mirror):
    store = Store.open(f"sqlite:///{tmp_path}/s.db", chain="t", clock=lambda: 5.0)
    yield PolicyFollower(mirror, "prod", store.commits, clock=lambda: 5.0)
    store.close()


def renewed(follower, tmp_path):
    return PolicyFollower(follower._repository, "prod", follower._commits, clock=lambda: 6.0)


def test_a_valid_commit_comes_into_force(source, follower):
    commit = source.commit({"prod/policy.yaml": SETTINGS})
    seen = follower.look()
    assert (seen.commit, seen.newest, seen.fault, seen.policy.owner) == (commit, commit, "", "prod")
    assert follower._commits.last_applied() == commit
    assert follower.look() is not None
    assert follower._commits.last_applied() == commit


def test_a_bad_commit_leaves_the_last_good_one_in_force_and_names_the_line(source, follower, tmp_path):
    good = source.commit({"prod/policy.yaml": SETTINGS})
    follower.look()
    bad = source.commit({"prod/users.yaml": "users:\n  jo: {roles: [opertor]}\n"})
    for one in (follower, renewed(follower, tmp_path)):  # and it stays so after a restart
        seen = one.look()
        assert (seen.commit, seen.newest, seen.fault) == (good, bad, "invalid")
        assert "prod/users.yaml:2:" in seen.lines[0]
        assert bad[:12] in seen.lines[0]
    mended = source.commit({"prod/users.yaml": "users: {}\n"})
    assert follower.look().commit == mended


def test_a_rewritten_branch_is_not_obeyed_until_it_is_accepted(source, follower, tmp_path):
    good = source.commit({"prod/policy.yaml": SETTINGS})
    follower.look()
    other = source.rewrite({"prod/policy.yaml": SETTINGS + "rules: {}\n"})
    for one in (follower, renewed(follower, tmp_path)):
        seen = one.look()
        assert (seen.commit, seen.newest, seen.fault) == (good, other, "not_fast_forward")
    follower._commits.record(other, kind="accepted", actor="jo", now=7)
    assert follower.look().commit == other


def test_a_repository_that_is_gone_changes_nothing(source, follower, tmp_path):
    good = source.commit({"prod/policy.yaml": SETTINGS})
    follower.look()
    source.path.rename(tmp_path / "elsewhere")
    seen = follower.look()
    assert (seen.commit, seen.fault) == (good, "unreachable")
    (tmp_path / "elsewhere").rename(source.path)
    assert follower.look().fault == ""


def test_nobodys_configuration_counts(source, tmp_path):
    """A hook in the mirror that git would otherwise run."""
    source.commit({"prod/policy.yaml": SETTINGS})
    mirror = PolicyRepository(tmp_path / "mirror.git", str(source.path), "main")
    commit = mirror.fetch()
    hook = tmp_path / "mirror.git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o700)
    newer = source.commit({"prod/a.yaml": "users: {}\n"})
    assert mirror.fetch() == newer != commit
    assert not (tmp_path / "hooked").exists()
