"""The policy as Git holds it: a bare mirror, read object by object, never a work tree.

The real git binary does the work, called without a shell, without anybody's configuration, hooks or
prompts, and with limits on time and size. What comes out is bytes by path; what they mean is for others.
Whoever owns the source may replace its history: whether a commit follows the last obeyed one is asked with
`is_ancestor`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["GitError", "PolicyRepository", "PolicyTooLargeError"]

MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_TOTAL_BYTES = 50 * 1024 * 1024
MAX_FILES = 10_000
_MAX_LISTING_BYTES = 8 * 1024 * 1024
_REF = "refs/steward/policy"
_ISOLATED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.fsckObjects=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
)
"""No hooks, no ext:: transport (it runs commands), objects checked on arrival; see git-config(1)."""


class GitError(ControllerError):
    """Git could not do what was asked; the message is the last line of what it said."""


class PolicyTooLargeError(ControllerError):
    """The policy at that commit is over a limit."""


@dataclass(frozen=True)
class _Blob:
    path: str
    oid: str
    size: int


class PolicyRepository:
    """A mirror of one branch of the Git repository at `source` (a path or URL), kept in `mirror`."""

    def __init__(
        self, mirror: Path, source: str, branch: str, *, timeout_seconds: float = 60, program: str = "git"
    ) -> None:
        self._mirror = mirror
        self._source = source
        self._branch = branch
        self._timeout_seconds = timeout_seconds
        self._program = program

    def fetch(self) -> str:
        """Bring the mirror up to date and return the branch's commit; raises GitError."""
        if not (self._mirror / "HEAD").exists():
            self._mirror.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._git("init", "--quiet", "--bare", "--template=", "--", str(self._mirror), is_outside=True)
        refspec = f"+refs/heads/{self._branch}:{_REF}"
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc")
        self._git("fetch", *quiet, "--", self._source, refspec)
        return self._git("rev-parse", "--verify", "--end-of-options", f"{_REF}^{{commit}}").decode().strip()

    def resolve(self, name: str) -> str:
        """The full id of the commit that `name` means in the mirror; raises GitError where there is none."""
        return self._git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` follows `older` (or is it).

        A commit that the mirror does not have follows nothing.
        """
        answer = self._run("merge-base", "--is-ancestor", older, newer)
        return answer.returncode == 0

    def files(self, commit: str, folder: str = "") -> dict[str, bytes]:
        """The YAML files below `folder` at `commit`, by path from the root of the repository.

        Raises PolicyTooLargeError over 5 MiB a file, 50 MiB or 10,000 files in all, and GitError for symbolic
        links and submodules, which could show content from elsewhere.
        """
        blobs = list(self._listed(commit, folder))
        if len(blobs) > MAX_FILES or sum(blob.size for blob in blobs) > MAX_TOTAL_BYTES:
            raise PolicyTooLargeError(f"the policy at {commit[:12]} has too many files or bytes")
        for blob in blobs:
            if blob.size > MAX_FILE_BYTES:
                raise PolicyTooLargeError(f"{blob.path} at {commit[:12]} is larger than 5 MiB")
        return self._contents(blobs)

    def _listed(self, commit: str, folder: str) -> Iterator[_Blob]:
        where = ["--", folder.rstrip("/") + "/"] if folder not in ("", ".") else []
        text = self._git("ls-tree", "-r", "-z", "--long", "--full-tree", "--end-of-options", commit, *where)
        if len(text) > _MAX_LISTING_BYTES:
            raise PolicyTooLargeError(f"the tree at {commit[:12]} has too many entries")
        for line in text.split(b"\0"):
            if not line:
                continue
            head, _, raw = line.partition(b"\t")
            mode, kind, oid, size = head.decode("ascii").split()
            path = raw.decode("utf-8", "surrogateescape")
            if PurePosixPath(path).suffix not in (".yaml", ".yml"):
                continue
            if kind != "blob" or mode == "120000":
                shown = path.encode("utf-8", "backslashreplace").decode("ascii", "backslashreplace")
                raise GitError(f"{shown} at {commit[:12]} is a link or a submodule, not a file")
            yield _Blob(path, oid, int(size))

    def _contents(self, blobs: Sequence[_Blob]) -> dict[str, bytes]:
        if not blobs:
            return {}
        asked = "".join(f"{blob.oid}\n" for blob in blobs).encode("ascii")
        text = self._git("cat-file", "--batch", input_=asked)
        contents: dict[str, bytes] = {}
        at = 0
        for blob in blobs:
            expected = f"{blob.oid} blob {blob.size}\n".encode("ascii")
            if not text.startswith(expected, at):
                raise GitError(f"git did not give the content of {blob.oid}")
            at += len(expected)
            contents[blob.path] = text[at : at + blob.size]
            at += blob.size + 1
        return contents

    def _git(self, *arguments: str, input_: bytes = b"", is_outside: bool = False) -> bytes:
        answer = self._run(*arguments, input_=input_, is_outside=is_outside)
        if answer.returncode != 0:
            said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
            raise GitError(f"git {arguments[0]} failed: {said[-1] if said else answer.returncode}")
        return answer.stdout

    def _run(
        self, *arguments: str, input_: bytes = b"", is_outside: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        where = () if is_outside else ("--git-dir", str(self._mirror))
        options = [option for setting in _ISOLATED for option in ("-c", setting)]
        argv = (self._program, *where, *options, *arguments)
        try:
            process = subprocess.Popen(  # noqa: S603
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise GitError(f"cannot run {self._program}: {error.strerror}", hint="install git") from error
        try:
            out, err = process.communicate(input_, timeout=self._timeout_seconds)
        except subprocess.TimeoutExpired as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # git's children (ssh, upload-pack) go with it
            process.communicate()
            raise GitError(f"git {arguments[0]} took longer than {self._timeout_seconds:g} s") from error
        return subprocess.CompletedProcess(argv, process.returncode, out, err)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SSH_AUTH_SOCK") if name in os.environ}
    return {
        "PATH": os.defpath,
        **kept,
        "GIT_ALLOW_PROTOCOL": "file:https:ssh",
        "GIT_ASKPASS": "true",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": os.devnull,
        "LC_ALL": "C.UTF-8",
    }
