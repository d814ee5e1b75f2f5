"""backup.run with the real restic, and what it must never read."""

import json
import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from agent.actions import Ending, Work, backup_run
from agent.actions.backup_run import restic_command, summary
from agent.actions.backup_state import (
    BackupState,
    Proof,
    RepositoryState,
    write_repository_state,
    write_state,
)
from agent.configuration import Repository, Resources, load
from agent.protection import Mount, Protection, aliases, parse_mounts
from agent.runner import Runner
from tests.agent.house import ExecutorProcess, House, outcome
from tests.real.servers import real_server

PASSWORD = "correct horse\n"
BACKUP = {"set": "data", "repository": "local"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A host with data and the names for it; its repository does not exist yet."""
    house = House(tmp_path).enroll()
    data, password = tmp_path / "data", tmp_path / "password"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "file").write_text("content\n")
    password.write_text(PASSWORD)
    password.chmod(0o600)
    house.write_settings(
        path_sets={"data": [str(data)], "gone": [str(tmp_path / "gone")]},
        repositories={"local": {"url": str(tmp_path / "repository"), "password_file": str(password)}},
    )
    return house


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository by the real restic; making one takes seconds (scrypt), copying it does not."""
    folder = tmp_path_factory.mktemp("restic")
    (folder / "password").write_text(PASSWORD)
    subprocess.run(
        (
            real_server("restic"),
            f"--repo={folder / 'made'}",
            f"--password-file={folder / 'password'}",
            "init",
        ),
        capture_output=True,
        check=True,
    )
    return folder / "made"


@pytest.fixture
def restic(house: House, repository: Path) -> "Restic":
    shutil.copytree(repository, house.folder / "repository")
    return Restic(real_server("restic"), house)


class Restic:
    """The real restic on the house's repository, as its owner uses it."""

    def __init__(self, program: Path, house: House) -> None:
        self.program, self.house = program, house

    def run(self, *words: str) -> str:
        repository = self.house.settings["repositories"]["local"]
        done = subprocess.run(
            (
                *(self.program, "--no-cache", f"--repo={repository['url']}"),
                *(f"--password-file={repository['password_file']}", *words),
            ),
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout


def perform(house: House, args: dict[str, str] | None = None, **bounds: int) -> Ending:
    loaded = load(house.config)
    runner = Runner("01BACKUP", Resources(**bounds), in_scope=False)
    return backup_run.perform(Work(args or BACKUP, loaded, runner.run, lambda: 1_700_000_000))


def state_file(house: House) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((house.state / "backups" / "data.local.json").read_text())
    return told


def test_a_signed_backup_makes_a_snapshot_that_restores(house: House, restic: Restic, tmp_path: Path) -> None:
    with ExecutorProcess(house):
        house.deliver(house.delivery("backup.run", BACKUP))
        [receipt] = house.receipts()
    assert outcome(receipt) == ("done", "")
    assert receipt.exit_status == 0
    assert receipt.result is not None
    assert receipt.result["files"] == 1
    restic.run("restore", receipt.result["snapshot_id"], "--target", str(tmp_path / "restored"))
    restored = tmp_path / "restored" / str(tmp_path / "data" / "sub" / "file").lstrip("/")
    assert restored.read_text() == "content\n"


def test_the_state_file_says_what_the_exporter_needs(house: House, restic: Restic) -> None:
    ending = perform(house)
    told = state_file(house)
    snapshot = told.pop("last_success")
    assert told == {
        "version": 1,
        "set": "data",
        "repository": "local",
        "outcome": "done",
        "started_at": 1_700_000_000,
        "finished_at": 1_700_000_000,
        "snapshot": ending.result["snapshot_id"],
        "files": 1,
        "bytes": 8,
        "reason": "",
        "exit_status": 0,
        "last_success_at": 1_700_000_000,
        "drill": None,
    }
    assert (house.state / "backups" / "data.local.json").stat().st_mode & 0o777 == 0o644
    assert snapshot["snapshot"] == ending.result["snapshot_id"]
    assert snapshot["files_new"] == 1
    assert snapshot["bytes_added"] == ending.result["bytes_added"]


def test_the_snapshot_is_told_as_restic_keeps_it(house: House, restic: Restic) -> None:
    """Sorted paths, host and user: the exporter makes restic-exporter's hash of them."""
    sets = {"data": [str(house.folder / name) for name in ("zebra", "ant")]}
    for path in sets["data"]:
        Path(path).mkdir()
    house.write_settings(path_sets=sets)
    perform(house)
    [kept] = json.loads(restic.run("snapshots", "--json"))
    told = state_file(house)["last_success"]
    assert {name: told[name] for name in ("paths", "hostname", "username", "tags")} == {
        name: kept[name] for name in ("paths", "hostname", "username", "tags")
    }
    assert kept["short_id"] == told["snapshot"]


def test_the_repository_is_counted(house: House, restic: Restic) -> None:
    perform(house)
    lock = house.folder / "repository" / "locks" / ("0" * 64)
    lock.write_bytes(b"left by a dead run")
    (lock.parent / "no-lock-of-restic").touch()
    assert perform(house).outcome == "done", "restic passes over a lock that it cannot read"
    told = json.loads((house.state / "backups" / "repositories" / "local.json").read_text())
    assert (told["snapshots"], told["locks"], told["counted_at"]) == (2, 1, 1_700_000_000)
    assert told["snapshots"] == len(json.loads(restic.run("snapshots", "--no-lock", "--json")))


def test_what_another_action_told_is_carried_on(house: House, restic: Restic) -> None:
    drill = Proof("done", 1, 2, files=3, last_success_at=2)
    done = BackupState("data", "local", "done", 1, 2, "abcdef12", 1, 1, drill=drill)
    write_state(house.state / "backups", done)
    write_repository_state(house.state / "backups", RepositoryState("local", check=drill))
    perform(house)
    assert state_file(house)["drill"]["files"] == 3
    told = json.loads((house.state / "backups" / "repositories" / "local.json").read_text())
    assert (told["check"]["files"], told["snapshots"]) == (3, 1)


def test_a_failure_keeps_the_last_success(house: House, restic: Restic) -> None:
    perform(house)
    Path(house.settings["repositories"]["local"]["url"], "config").unlink()
    assert perform(house) == Ending("failed", "repository_missing")
    assert state_file(house)["outcome"] == "failed"
    assert state_file(house)["reason"] == "repository_missing"
    assert state_file(house)["last_success_at"] == 1_700_000_000
    assert state_file(house)["last_success"]["files"] == 1


def test_a_missing_repository_is_not_made(house: House) -> None:
    assert perform(house) == Ending("failed", "repository_missing")
    assert not Path(house.settings["repositories"]["local"]["url"]).exists()


def test_a_missing_path_fails_instead_of_backing_up_the_rest(house: House, restic: Restic) -> None:
    sets = {"data": [*house.settings["path_sets"]["data"], str(house.folder / "gone")]}
    house.write_settings(path_sets=sets)
    assert perform(house) == Ending("failed", "path_missing")


def test_a_wrong_password_fails(house: House, restic: Restic) -> None:
    (house.folder / "password").write_text("wrong")
    ending = perform(house)
    assert (ending.outcome, ending.reason) == ("failed", "wrong_password")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620])
def test_a_password_that_others_read_or_change_is_not_used(mode: int, house: House, restic: Restic) -> None:
    (house.folder / "password").chmod(mode)
    assert perform(house) == Ending("failed", "password_file_exposed")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_stranger_s_password_file_is_not_used(house: House, restic: Restic) -> None:
    os.chown(house.folder / "password", 65534, 65534)
    assert perform(house) == Ending("failed", "password_file_exposed")


def scripted(house: House, script: str) -> None:
    """Let `restic` be a shell script, beside a repository that looks like one."""
    program = house.folder / "restic"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (house.folder / "repository").mkdir()
    (house.folder / "repository" / "config").touch()
    house.write_settings(executor={"restic": str(program)})


SAID = {
    "unable to create lock in backend: repository is already locked by PID 7": "repository_locked",
    "Fatal: wrong password or no key found": "wrong_password",
    "Fatal: unable to open config file: stat /srv/r/config: no such file or directory": "repository_missing",
    "Save(<data/0f>) failed: write /srv/r/tmp: no space left on device": "repository_full",
    "Fatal: something new": "restic_failed",
}


@pytest.mark.parametrize("words", SAID)
def test_what_older_restics_say_gives_the_reason(words: str, house: House) -> None:
    scripted(house, f"echo '{words}' >&2; exit 1")
    assert perform(house) == Ending("failed", SAID[words], 1)


SUMMARY = (
    '{"message_type":"summary","snapshot_id":"abcdef12","total_files_processed":1,'
    '"total_bytes_processed":1,"data_added":1}'
)


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [("mv {data} {data}.old; ln -s {state} {data}", "protected_path"), ("rm -r {data}", "path_missing")],
    ids=["turned into a link", "removed"],
)
def test_a_path_that_changed_under_the_backup_is_no_success(
    meanwhile: str, reason: str, house: House
) -> None:
    script = meanwhile.format(data=house.folder / "data", state=house.state / "executor")
    scripted(house, f"{script}\necho '{SUMMARY}'")
    assert perform(house).reason == reason
    assert state_file(house)["outcome"] != "done"
    assert state_file(house)["last_success_at"] is None


def test_a_state_that_cannot_be_written_is_no_success(house: House, restic: Restic) -> None:
    (house.state / "backups").write_text("in the way")
    ending = perform(house)
    assert (ending.outcome, ending.reason) == ("failed", "state_not_written")
    assert ending.result["snapshot_id"], "the snapshot is there, and the receipt says so"


def test_a_success_of_another_pair_is_not_taken_for_this_one(house: House, restic: Restic) -> None:
    perform(house)
    path = house.state / "backups" / "data.local.json"
    told = state_file(house) | {"set": "da", "repository": "ta.local"}
    path.write_text(json.dumps(told))
    (house.folder / "repository" / "config").unlink()
    perform(house)
    assert state_file(house)["last_success_at"] is None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "backup_incomplete"),
        ("exit 10", "repository_missing"),
        ("exit 11", "repository_locked"),
        ("exit 1", "restic_failed"),
        ("exit 0", "no_summary"),
        ("kill -9 $$", "restic_failed"),
    ],
)
def test_exit_statuses_of_newer_restics_are_understood(script: str, reason: str, house: House) -> None:
    scripted(house, script)
    ending = perform(house)
    assert (ending.outcome, ending.reason) == ("failed", reason)


def test_a_missing_restic_is_told(house: House) -> None:
    (house.folder / "repository").mkdir()
    (house.folder / "repository" / "config").touch()
    house.write_settings(executor={"restic": "/nonexistent/restic"})
    assert perform(house) == Ending("failed", "restic_missing")


def test_stewards_own_files_are_left_out(house: House, restic: Restic) -> None:
    """The whole folder is backed up: keys, journal, agent.yaml, password and repository stay out."""
    house.write_settings(path_sets={"data": [str(house.folder)]})
    assert perform(house).outcome == "done"
    listed = restic.run("ls", "latest").splitlines()
    assert str(house.folder / "data" / "sub" / "file") in listed
    for secret in (house.state, house.config, house.folder / "password", house.folder / "repository"):
        assert not [line for line in listed if line.startswith(str(secret))], secret


@pytest.mark.parametrize("place", ["state", "state/executor", "agent.yaml", "password"])
def test_a_protected_place_is_refused(place: str, house: House, restic: Restic) -> None:
    house.write_settings(path_sets={"data": [str(house.folder / place)]})
    assert perform(house) == Ending("refused", "protected_path")


def test_the_password_of_every_repository_stays_out(house: House, restic: Restic) -> None:
    other = house.folder / "data" / "other-password"
    other.write_text("also secret")
    repositories = house.settings["repositories"]
    elsewhere = {"url": str(house.folder / "elsewhere"), "password_file": str(other)}
    house.write_settings(repositories=repositories | {"other": elsewhere})
    assert perform(house).result["files"] == 1
    house.write_settings(path_sets={"data": [str(other)]})
    assert perform(house) == Ending("refused", "protected_path")


def test_a_repository_in_a_protected_place_is_not_written(house: House, restic: Restic) -> None:
    inside = house.state / "executor" / "repository"
    (house.folder / "repository").rename(inside)
    repository = house.settings["repositories"]["local"] | {"url": str(inside)}
    house.write_settings(repositories={"local": repository})
    assert perform(house) == Ending("refused", "protected_path")


def test_a_link_to_a_protected_place_is_refused(house: House, restic: Restic) -> None:
    link = house.folder / "innocent"
    link.symlink_to(house.state / "executor")
    house.write_settings(path_sets={"data": [str(link)]})
    assert perform(house) == Ending("refused", "protected_path")


def test_a_hard_link_to_a_key_stops_backups(house: House, restic: Restic) -> None:
    os.link(house.state / "executor" / "receipt.pem", house.folder / "data" / "innocent")
    assert perform(house) == Ending("refused", "protected_hard_link")


def test_signs_of_a_pattern_in_a_protected_name_are_taken_literally(tmp_path: Path) -> None:
    command = restic_command("restic", Repository("/srv/r", "/p"), ["/a"], ["/x[1]*\\y"], Path("/cache"))
    assert "--exclude=/x\\[1\\]\\*\\\\y" in command.argv


def test_no_secret_stands_in_arguments_or_environment() -> None:
    command = restic_command("restic", Repository("/srv/r", "/run/secrets/p"), ["/etc"], [], Path("/cache"))
    assert "--password-file=/run/secrets/p" in command.argv
    assert not [name for name in command.environment if "PASSWORD" in name]
    assert command.argv.index("--") < command.argv.index("/etc")


@pytest.mark.parametrize("output", [b"", b"\n", b"{}", b"no json", b'{"message_type":"summary"}', b"[1]"])
def test_output_without_a_summary_is_none(output: bytes) -> None:
    assert summary(output) is None


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 8:2 / /var rw,relatime - ext4 /dev/sda2 rw
24 22 8:2 /lib/steward /srv/bound rw - ext4 /dev/sda2 rw
25 22 8:2 /lib /mnt/with\\040space rw - ext4 /dev/sda2 rw
26 22 8:2 /lib/steward/executor/keys /opt/deep rw - ext4 /dev/sda2 rw
27 22 8:3 / /mnt/other rw - ext4 /dev/sdb rw
"""

ALIASES = {
    "/var/lib/steward": {
        "/var/lib/steward",
        "/srv/bound",
        "/mnt/with space/steward",
        "/opt/deep",
    },
    "/var/lib/steward/executor/keys/a": {
        "/var/lib/steward/executor/keys/a",
        "/srv/bound/executor/keys/a",
        "/mnt/with space/steward/executor/keys/a",
        "/opt/deep/a",
    },
    "/etc/shadow": {"/etc/shadow"},
    "/mnt/other/x": {"/mnt/other/x"},
}


@pytest.mark.parametrize("path", ALIASES)
def test_a_bind_mount_is_another_name(path: str) -> None:
    found = aliases(PurePosixPath(path), parse_mounts(MOUNTS))
    assert found == {PurePosixPath(name) for name in ALIASES[path]}


def test_a_bind_mounted_directory_is_known_by_its_inode(tmp_path: Path) -> None:
    """Even where the mount table says nothing: the same device and inode is the same directory."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (tmp_path / "alias").symlink_to(secret)
    protection = Protection([secret], mounts=[Mount("8:1", PurePosixPath("/"), PurePosixPath("/"))])
    assert protection.objection(tmp_path / "alias" / "key")
    assert not protection.objection(tmp_path / "other")
    assert protection.inside(tmp_path) == [str(secret)]


@pytest.mark.parametrize("name", ["\udcff", "a\x0bb", "a\x85b", "a\u2028b", "\\134x"])
def test_a_mount_point_of_any_name_hides_nothing(name: str) -> None:
    """Who mounts chooses the name: neither bytes that are not UTF-8 nor odd line ends may cut the table."""
    text = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:9 / /m/{name} rw - fuse x rw\n" + MOUNTS
    parsed = parse_mounts(text)
    assert len(parsed) == 2 + MOUNTS.count("\n")
    assert str(parsed[1].point) == "/m/" + name.replace("\\134", "\\")


def test_a_place_that_cannot_be_looked_at_is_protected_by_name(tmp_path: Path) -> None:
    """For a user without rights /root/.ssh is such a place; root meets one in a name that is too long."""
    hidden = tmp_path / ("x" * 300) / "key"
    protection = Protection([hidden])
    assert protection.objection(hidden)
    assert protection.twins() == []
    assert not protection.objection(tmp_path)


def test_the_system_s_secrets_are_protected() -> None:
    protection = Protection([])
    for path in ("/proc/self/environ", "/proc/kcore", "/sys/kernel"):
        assert protection.objection(Path(path)), path
    for path in ("/etc/shadow", "/root/.ssh", "/root/.ssh/id_ed25519", "/etc/sudoers.d/x", "/etc/pam.d/su"):
        assert protection.objection(Path(os.path.realpath(path))), path
    assert not protection.objection(Path("/etc"))
    assert "/etc/shadow" in protection.inside(Path("/etc"))
