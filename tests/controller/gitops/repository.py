"""A Git repository as people write it, made by the real git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SETTINGS = "version: 1\nowner: prod\n"


class Source:
    """A repository with one branch, main."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: Mapping[str, str]) -> str:
        """Write files and commit everything; the commit's id."""
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        return self.git("rev-parse", "HEAD").strip()

    def rewrite(self, files: Mapping[str, str]) -> str:
        """Start the branch anew, as a force-push does."""
        self.git("checkout", "--quiet", "--orphan", "other")
        commit = self.commit(files)
        self.git("branch", "--quiet", "--move", "--force", "other", "main")
        return commit

    def git(self, *arguments: str, input: str = "") -> str:  # noqa: A002 - as subprocess calls it
        """Run git as a person with a name and nothing else configured."""
        person = {"GIT_AUTHOR_NAME": "jo", "GIT_AUTHOR_EMAIL": "jo@example.org"}
        person |= {"GIT_COMMITTER_NAME": "jo", "GIT_COMMITTER_EMAIL": "jo@example.org"}
        isolated = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        environment = {"PATH": os.environ["PATH"], **person, **isolated}
        answer = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            input=input,
        )
        return answer.stdout
