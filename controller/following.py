"""Which policy is in force: the newest commit that is valid and follows the last obeyed one.

Else the one before.

Rollback is a revert. A branch that was rewritten is not obeyed until a person accepts its commit, because
whoever can force-push could otherwise take back what was decided. Blocking: Git and the store are asked
here.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controller.errors import ControllerError
from controller.gitops import MAX_TOTAL_BYTES, GitError, PolicyTooLargeError
from controller.policy import PolicyErrors, parse
from controller.policy.document import read_document
from controller.policy.parse import SETTINGS_FILE, bases

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.gitops import PolicyRepository
    from controller.policy import Policy
    from controller.store.commits import Commits

__all__ = ["Followed", "PolicyFollower", "read_policy"]

_MAX_LINES = 50
_ACTOR = "controller"


@dataclass(frozen=True)
class Followed:
    """The policy in force and its commit, the branch's newest commit, and why the two differ if they do.

    `fault` is one of unreachable, invalid, not_fast_forward or empty; `lines` name commit, file and line.
    """

    commit: str = ""
    policy: Policy | None = None
    newest: str = ""
    fault: str = ""
    lines: tuple[str, ...] = ()


class PolicyFollower:
    """Follows one folder of one branch."""

    def __init__(
        self, repository: PolicyRepository, folder: str, commits: Commits, *, clock: Callable[[], float]
    ) -> None:
        self._repository = repository
        self._folder = folder
        self._commits = commits
        self._clock = clock
        self._now = Followed()

    def look(self) -> Followed:
        """Fetch, judge the newest commit, and tell what is in force now. Raises StoreError only."""
        last = self._commits.last_applied()
        if self._now.policy is None and last:
            self._restore(last)
        try:
            newest = self._repository.fetch()
        except GitError as error:
            return self._faulty(self._now.newest, "unreachable", (str(error),))
        if newest == self._now.commit:
            self._now = replace(self._now, newest=newest, fault="", lines=())
            return self._now
        try:
            return self._judge(newest, last)
        except GitError as error:
            return self._faulty(newest, "unreachable", (str(error),))

    def _judge(self, newest: str, last: str) -> Followed:
        follows = not last or self._repository.is_ancestor(last, newest)
        if not follows and not self._commits.is_accepted(newest):
            line = f"commit {newest} of the branch does not have the obeyed commit {last} among its ancestors"
            return self._faulty(newest, "not_fast_forward", (line,))
        try:
            policy = self._read(newest)
        except PolicyErrors as error:
            lines = [f"{newest[:12]} {line}" for line in str(error).splitlines()]
            return self._faulty(newest, "invalid", tuple(lines[:_MAX_LINES]))
        except (GitError, PolicyTooLargeError) as error:
            return self._faulty(newest, "invalid", (f"{newest[:12]} {error}",))
        if newest != last:
            self._commits.record(newest, kind="applied", actor=_ACTOR, now=int(self._clock()))
        self._now = Followed(newest, policy, newest)
        return self._now

    def _restore(self, last: str) -> None:
        """After a restart the last obeyed commit is in force, whatever the branch says now."""
        try:
            self._now = Followed(last, self._read(last), last)
        except (ControllerError, PolicyErrors):  # the mirror is gone: the newest commit is judged as it comes
            self._now = Followed()

    def _read(self, commit: str) -> Policy:
        return read_policy(self._repository, commit, self._folder)

    def stop(self) -> None:
        """End a look that is under way, from another thread; it tells `unreachable`."""
        self._repository.stop()

    def _faulty(self, newest: str, fault: str, lines: tuple[str, ...]) -> Followed:
        self._now = replace(self._now, newest=newest, fault=fault, lines=lines)
        return self._now


def read_policy(repository: PolicyRepository, commit: str, folder: str) -> Policy:
    """The policy of an environment's folder, with the folders that it extends; nothing else is looked at.

    Raises GitError, PolicyTooLargeError, and PolicyErrors.
    """
    root = posixpath.normpath(folder or ".")
    files: dict[str, bytes] = {}
    waiting, seen = ["" if root == "." else root], set[str]()
    while waiting:
        at = waiting.pop()
        if at in seen or at.startswith(("..", "/")):  # the parser names what leads out of the repository
            continue
        seen.add(at)
        files |= repository.files(commit, at)
        if sum(map(len, files.values())) > MAX_TOTAL_BYTES:
            raise PolicyTooLargeError(f"the policy at {commit[:12]} has too many bytes")
        settings = posixpath.join(at, SETTINGS_FILE)
        if settings in files:
            waiting += [base for base, _ in bases(read_document(files[settings], settings), at)]
    return parse(files, root)
