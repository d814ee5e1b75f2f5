"""The policy's mirror, over real Git repositories: what is read, what is refused, whose word counts."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from controller import gitops
from controller.following import PolicyFollower, read_policy
from controller.gitops import GitError, PolicyRepository, PolicyTooLargeError
from controller.policy import PolicyErrors
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


NOT_READ = {
    "a-link-elsewhere": ("other/users.yaml", "link"),
    "a-hidden-link": ("prod/.users.yaml", "link"),
    "a-hidden-folder": ("prod/.github/users.yaml", "link"),
    "a-submodule-elsewhere": ("vendor.yaml", "submodule"),
    "a-name-elsewhere": ("other/é.yaml".encode("latin-1"), "file"),
    "a-big-file-elsewhere": ("other/big.yaml", "big"),
}
READ = {
    "a-link": ("prod/users.yaml", "link", "is a link or a submodule"),
    "a-link-to-a-folder": ("prod/people", "link", "is a link or a submodule"),
    "a-link-in-a-base": ("common/deep/roles.yaml", "link", "is a link or a submodule"),
    "a-submodule": ("prod/vendor", "submodule", "is a link or a submodule"),
    "a-name": ("prod/é.yaml".encode("latin-1"), "file", "is not UTF-8"),
    "a-big-file": ("prod/big.yaml", "big", "larger than 5 MiB"),
}


def put(source, name, what):
    """Put one entry into the next commit."""
    path = source.path / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "link":
        path.symlink_to("/etc")
    elif what == "submodule":
        source.git("update-index", "--add", "--cacheinfo", f"160000,{'ab' * 20},{name}")
        source.git("commit", "--quiet", "--message", "a submodule")
    else:
        path.write_bytes(b"#" * (gitops.MAX_FILE_BYTES + 1) if what == "big" else b"users: {}\n")


def environment(source):
    files = {"prod/policy.yaml": SETTINGS + "extends: [../common]\n", "common/roles.yaml": "roles: {}\n"}
    return source.commit(files)


@pytest.mark.parametrize("name", NOT_READ)
def test_what_the_environment_does_not_read_does_not_matter(source, follower, name):
    environment(source)
    path, what = NOT_READ[name]
    put(source, path, what)
    if what != "submodule":
        source.commit({})
    seen = follower.look()
    assert (seen.fault, seen.lines) == ("", ())


@pytest.mark.parametrize("name", READ)
def test_what_the_environment_reads_must_be_files(source, follower, name):
    good = environment(source)
    follower.look()
    path, what, said = READ[name]
    put(source, path, what)
    if what != "submodule":
        source.commit({})
    seen = follower.look()
    assert (seen.commit, seen.fault) == (good, "invalid")
    assert said in seen.lines[0]
    seen.lines[0].encode("utf-8")  # the page and the log can show it


def test_a_folder_that_is_written_another_way_is_the_same(source, mirror):
    commit = environment(source)
    mirror.fetch()
    for folder in ("prod", "prod/", "./prod", "common/../prod"):
        assert read_policy(mirror, commit, folder).owner == "prod"
    for folder in (":(glob)**", ":/", "pro*", "..", "/prod", ""):
        with pytest.raises(PolicyErrors):
            read_policy(mirror, commit, folder)


def test_a_branch_that_is_deleted_changes_nothing(source, follower):
    good = environment(source)
    follower.look()
    source.git("checkout", "--quiet", "-b", "other")
    source.git("branch", "--quiet", "-D", "main")
    seen = follower.look()
    assert (seen.commit, seen.fault) == (good, "unreachable")
    assert "main" in seen.lines[0]


def test_a_tree_that_unfolds_without_end_is_cut_off(tmp_path, source, mirror):
    """A folder that holds one folder ten times, ten deep: a few kilobytes list as 10,000,000,000 files."""
    blob = source.git("hash-object", "-w", "--stdin", input="x: 1\n").strip()
    entries = "".join(f"100644 blob {blob}\t{n}.yaml\n" for n in range(10))
    for _ in range(10):
        tree = source.git("mktree", input=entries).strip()
        entries = "".join(f"040000 tree {tree}\t{n}\n" for n in range(10))
    tree = source.git("mktree", input=f"040000 tree {tree}\tprod\n").strip()
    commit = source.git("commit-tree", tree, "-m", "a bomb").strip()
    source.git("update-ref", "refs/heads/main", commit)
    with pytest.raises(PolicyTooLargeError, match="too many entries"):
        mirror.files(mirror.fetch(), "prod")


ATTACKS = {
    "core.fsmonitor": "touch {marker}",
    "core.sshCommand": "touch {marker}",
    "core.alternateRefsCommand": "touch {marker}",
    "uploadpack.packObjectsHook": "touch {marker}; exec",
    "core.pager": "touch {marker}",
    "filter.x.smudge": "touch {marker}",
    "include.path": "{folder}/included",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_followed_repositorys_configuration_runs_nothing(tmp_path, source, mirror, name):
    marker = tmp_path / "marker"
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = touch {marker}\n")
    source.git("config", name, ATTACKS[name].format(marker=marker, folder=tmp_path))
    for hook in ("pre-receive", "post-checkout", "reference-transaction", "post-upload-pack"):
        path = source.path / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch {marker}\n")
        path.chmod(0o700)
    commit = source.commit({"prod/policy.yaml": SETTINGS, ".gitattributes": "* filter=x\n"})
    marker.unlink(missing_ok=True)  # the person's own git may have run something
    assert mirror.fetch() == commit
    assert mirror.files(commit, "prod")
    assert not marker.exists()


def test_what_git_says_first_is_told(tmp_path):
    mirror = PolicyRepository(tmp_path / "m.git", "/nowhere/at/all", "main")
    with pytest.raises(GitError, match="'/nowhere/at/all' does not appear to be a git repository"):
        mirror.fetch()


def test_a_mirror_that_cannot_be_written_is_said(tmp_path, source):
    (tmp_path / "file").write_text("")
    with pytest.raises(GitError, match="cannot be written"):
        PolicyRepository(tmp_path / "file" / "m.git", str(source.path), "main").fetch()


@pytest.mark.parametrize(("age", "is_in_the_way"), [(10, True), (1000, False)])
def test_a_lock_that_a_killed_git_left_does_not_stay_in_the_way(tmp_path, source, mirror, age, is_in_the_way):
    source.commit({"prod/policy.yaml": SETTINGS})
    mirror.fetch()
    lock = tmp_path / "mirror.git" / "refs" / "steward" / "policy.lock"
    lock.touch()
    os.utime(lock, (time.time() - age,) * 2)
    newer = source.commit({"prod/policy.yaml": SETTINGS + "rules: {}\n"})
    if is_in_the_way:
        with pytest.raises(GitError, match="File exists"):
            mirror.fetch()
    else:
        assert mirror.fetch() == newer


def test_a_git_that_is_under_way_ends_when_the_service_stops(tmp_path, source):
    slow, begun = tmp_path / "git", tmp_path / "begun"
    slow.write_text(f"#!/bin/sh\n: > {begun}\nsleep 300 &\nwait\n")
    slow.chmod(0o700)
    os.mkfifo(begun)
    mirror = PolicyRepository(tmp_path / "m.git", str(source.path), "main", program=str(slow))
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(mirror.fetch)
        begun.open("rb").close()  # returns when the other side has opened it
        mirror.stop()
        with pytest.raises(GitError, match="controller stops"):
            fetching.result(timeout=30)


def test_a_grandchild_that_keeps_our_pipes_is_not_waited_for(tmp_path, source):
    """As ssh does with ControlPersist: it leaves the session and holds standard error open."""
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nsetsid sleep 30 &\necho $! > " + f"{tmp_path}/pid\nwait\n")
    slow.chmod(0o700)
    mirror = PolicyRepository(
        tmp_path / "m.git", str(source.path), "main", timeout_seconds=0.3, program=str(slow)
    )
    try:
        with pytest.raises(GitError, match="took longer"):
            mirror.fetch()
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
