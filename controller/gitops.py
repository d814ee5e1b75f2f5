"""The policy as Git holds it: a bare mirror, read object by object, never a work tree.

The real git binary does the work, called without a shell, without anybody's configuration, hooks or
prompts, and with limits on time and size. What comes out is bytes by path; what they mean is for others.
Whoever owns the source may replace its history: whether a commit follows the last obeyed one is asked with
`is_ancestor`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.bounded_process import Bounds, CutOffError, Ended, run
from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["GitError", "PolicyRepository", "PolicyTooLargeError"]

MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_TOTAL_BYTES = 50 * 1024 * 1024
MAX_FILES = 10_000
_MAX_LISTING_BYTES = 8 * 1024 * 1024
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_SAID = 300
_FOREIGN = "dubious ownership"
"""What git says of a repository here that belongs to another user (git-config(1), safe.directory)."""
_LOCKS = ("HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/steward/policy.lock")
_REF = "refs/steward/policy"
_LINK = "120000"
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
    """Git could not do what was asked; the message is the first line of what it said."""


class _TooMuchError(GitError):
    """Git wrote more than was allowed."""


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
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        """End a git that is under way, and start no more; from any thread."""
        self._is_stopped.set()

    def fetch(self) -> str:
        """Bring the mirror up to date and return the branch's commit; raises GitError."""
        try:
            self._mirror.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._drop_old_locks()
        except OSError as error:
            raise GitError(f"the mirror {self._mirror} cannot be written: {error.strerror}") from error
        if not (self._mirror / "HEAD").exists():
            self._git("init", "--quiet", "--bare", "--template=", "--", str(self._mirror), is_outside=True)
        refspec = f"+refs/heads/{self._branch}:{_REF}"
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc")
        self._git("fetch", *quiet, "--", self._source, refspec)
        return self.resolve(_REF)

    def resolve(self, name: str) -> str:
        """The full id of the commit that `name` means in the mirror; raises GitError where there is none."""
        return self._git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` follows `older` (or is it). Raises GitError where git cannot tell.

        A commit that the mirror does not have follows nothing.
        """
        answer = self._run("merge-base", "--is-ancestor", older, newer, most=_MAX_ANSWER_BYTES)
        return answer.returncode == 0

    def files(self, commit: str, folder: str = "") -> dict[str, bytes]:
        """The YAML files below `folder` at `commit`, by path from the root; hidden ones are passed over.

        Raises PolicyTooLargeError over 5 MiB a file, 50 MiB or 10,000 files in all, and GitError for symbolic
        links and submodules, which could show content from elsewhere: passed over, what they hold on a
        person's disk would be missing here, and what is missing is deleted.
        """
        blobs = list(self._listed(commit, folder))
        if len(blobs) > MAX_FILES or sum(blob.size for blob in blobs) > MAX_TOTAL_BYTES:
            raise PolicyTooLargeError(f"the policy at {commit[:12]} has too many files or bytes")
        for blob in blobs:
            if blob.size > MAX_FILE_BYTES:
                raise PolicyTooLargeError(f"{blob.path} at {commit[:12]} is larger than 5 MiB")
        return self._contents(blobs)

    def _listed(self, commit: str, folder: str) -> Iterator[_Blob]:
        where = ["--", f"{folder}/"] if folder else []
        options = ("-r", "-z", "--long", "--full-tree", "--end-of-options")
        try:
            text = self._git("ls-tree", *options, commit, *where, most=_MAX_LISTING_BYTES)
        except _TooMuchError as error:
            raise PolicyTooLargeError(f"the tree at {commit[:12]} has too many entries") from error
        for line in text.split(b"\0"):
            head, _, raw = line.partition(b"\t")
            below = raw[len(folder.encode()) :].lstrip(b"/").split(b"/")
            if not line or any(part.startswith(b".") for part in below):
                continue
            mode, kind, oid, size = head.decode("ascii").split()
            if kind != "blob" or mode == _LINK:
                hint = "put the files themselves there"
                raise GitError(f"{_shown(raw)} at {commit[:12]} is a link or a submodule", hint=hint)
            if raw.endswith((b".yaml", b".yml")):
                yield _Blob(_path(raw, commit), oid, int(size))

    def _contents(self, blobs: Sequence[_Blob]) -> dict[str, bytes]:
        if not blobs:
            return {}
        asked = "".join(f"{blob.oid}\n" for blob in blobs).encode("ascii")
        most = sum(blob.size + 128 for blob in blobs)
        text = self._git("cat-file", "--batch", input_=asked, most=most)
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

    def _git(
        self,
        *arguments: str,
        input_: bytes = b"",
        is_outside: bool = False,
        most: int = _MAX_ANSWER_BYTES,
    ) -> bytes:
        answer = self._run(*arguments, input_=input_, is_outside=is_outside, most=most)
        if answer.returncode != 0:
            said = _complaint(answer)
            hint = "name it by ssh:// or https://, or let our user own it" if _FOREIGN in said else ""
            raise GitError(f"git {arguments[0]} failed: {said}", hint=hint)
        return answer.out

    def _run(self, *arguments: str, most: int, input_: bytes = b"", is_outside: bool = False) -> Ended:
        where = () if is_outside else ("--git-dir", str(self._mirror))
        options = [option for setting in _ISOLATED for option in ("-c", setting)]
        argv = (self._program, *where, *options, *arguments)
        bounds = Bounds(self._timeout_seconds, most)
        stopping = self._is_stopped.is_set
        try:
            return run(argv, env=_environment(), bounds=bounds, input_=input_, is_stopping=stopping)
        except OSError as error:
            raise GitError(f"cannot run {self._program}: {error.strerror}", hint="install git") from error
        except CutOffError as error:
            kind = _TooMuchError if error.is_too_much else GitError
            raise kind(f"git {arguments[0]} {error.message}") from error

    def _drop_old_locks(self) -> None:
        """Remove what a git that was killed left behind: no git of ours lives longer than its time-out."""
        for name in _LOCKS:
            with contextlib.suppress(FileNotFoundError):
                lock = self._mirror / name
                if time.time() - lock.stat().st_mtime > 2 * self._timeout_seconds:
                    lock.unlink()


def _path(raw: bytes, commit: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise GitError(f"the name {_shown(raw)} at {commit[:12]} is not UTF-8") from error


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace").encode("ascii", "backslashreplace").decode("ascii")


def _complaint(answer: Ended) -> str:
    """What git said first: what follows is advice, and the last line that no repository could be read."""
    lines = [line.strip() for line in answer.err.decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if line and not line.lower().startswith(("warning:", "hint:"))]
    return (said[0] if said else f"exit {answer.returncode}")[:_MAX_SAID]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SSH_AUTH_SOCK") if name in os.environ}
    return {
        "PATH": os.defpath,
        **kept,
        "GIT_ALLOW_PROTOCOL": "file:https:ssh",
        "GIT_ASKPASS": "true",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": os.devnull,
        "LC_ALL": "C.UTF-8",
    }
