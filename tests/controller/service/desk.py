"""A shell in a folder, with the real command."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

STEWARD = [sys.executable, "-c", "from controller.cli.main import main; main()"]


class Desk:
    """A shell in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *arguments, code=0):
        done = subprocess.run(
            [*STEWARD, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def environment(self):
        root = Path(__file__).parents[3]
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(root)}

    def json(self, *arguments, code=0):
        return json.loads(self.run(*arguments, "--output", "json", code=code))

    def sql(self, statement):
        with sqlite3.connect(self.folder / "state" / "steward.db") as raw:
            raw.execute(statement)
        raw.close()

    def start(self, **environment):
        """A `steward serve`, begun."""
        return subprocess.Popen(
            [*STEWARD, "serve"],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def serving(self, **environment):
        """`steward serve` until the block ends, by SIGTERM as a service manager does it."""
        process = self.start(**environment)
        try:
            assert process.stdout.readline().startswith("serving https://127.0.0.1:"), process.stderr.read()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors


def new_desk(folder):
    """A controller that was made by `steward init` and `steward trust init`, on any free port."""
    desk = Desk(folder)
    desk.run("init", ".")
    yaml = desk.folder / "controller.yaml"
    yaml.write_text(yaml.read_text().replace("listen: 127.0.0.1:8443", "listen: 127.0.0.1:0"))
    desk.run("trust", "init", "--root-key", "root.pem")
    return desk
