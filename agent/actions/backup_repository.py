"""What can be told of a repository on this host without its password: how many snapshots and locks it holds.

restic keeps each as one file named by its hash (restic's manual, "Repository Format"), so counting is listing
two folders, at the end of an action and never at a scrape.
"""

import os
import re
from pathlib import Path

from agent.actions.backup_state import RepositoryState, write_repository_state
from agent.actions.work import Work
from agent.configuration import Repository
from agent.logs import log

__all__ = ["count", "tell_repository"]

_HASH = re.compile(r"[0-9a-f]{64}")


def tell_repository(work: Work, name: str, repository: Repository) -> None:
    """Count and leave it for the exporter; a failure is logged and stops nothing."""
    try:
        state = RepositoryState(
            repository=name,
            snapshots=count(Path(repository.url) / "snapshots"),
            locks=count(Path(repository.url) / "locks"),
            counted_at=work.clock(),
        )
        write_repository_state(work.loaded.backups_directory, state)
    except OSError as error:
        log("the repository cannot be counted", repository=name, error=str(error))


def count(folder: Path) -> int:
    """Files of restic in a folder of its repository; raises OSError."""
    with os.scandir(folder) as entries:
        return sum(1 for entry in entries if _HASH.fullmatch(entry.name))
