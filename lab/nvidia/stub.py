"""Builds the scripted libnvidia-ml and plays scripts through it.

A program finds it as it would find NVIDIA's, by LD_LIBRARY_PATH; `load` brings it into this very process
before NVIDIA's binding asks for `libnvidia-ml.so.1`, which the loader then finds loaded under that name
(dlopen(3): a library is known by its soname).
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.nvidia.errors import CompilerError
from lab.nvidia.script import Gpu, Script, from_json, lines

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARY = "libnvidia-ml.so.1"
STATE = "nvml.state"
VARIABLE = "STEWARD_LAB_NVML"
_FOLDER = Path(__file__).parent
_SOURCES = tuple(_FOLDER / f"nvml_{part}.c" for part in ("state", "device", "parts"))
_COMPILE_SECONDS = 60


def compiler() -> Path | None:
    """The C compiler of this machine, None where there is none."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    return Path(found) if found else None


def build(folder: Path) -> Path:
    """Compile the library into a folder.

    Raises:
        CompilerError: there is no compiler, or it refuses.
    """
    program = compiler()
    if program is None:
        raise CompilerError("no C compiler here (Debian: gcc)")
    target = folder / LIBRARY
    new = folder / f"{LIBRARY}.new"  # programs may have the old one mapped
    options = ("-std=c11", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}")
    argv = [str(program), *options, "-o", str(new), *map(str, _SOURCES), "-lpthread"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)  # noqa: S603
    if done.returncode != 0:
        raise CompilerError(f"{program.name} could not build the library: {done.stderr.strip()}")
    return new.replace(target)


def _is_stale(library: Path) -> bool:
    return not library.exists() or library.stat().st_mtime < max(
        source.stat().st_mtime for source in _FOLDER.glob("nvml_*.[ch]")
    )


def environment(folder: Path) -> dict[str, str]:
    """What a program's environment must hold to find the library of a folder and its script."""
    return {"LD_LIBRARY_PATH": str(folder), VARIABLE: str(folder / STATE)}


class Stub:
    """The library of a folder, built if need be, and the machine that it shows; starts without GPUs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = folder / LIBRARY
        if _is_stale(self._library):
            build(folder)
        self._script = Script()
        self._loaded: Any = None
        self._events: list[tuple[str, int]] = []
        self.play(self._script)

    @property
    def script(self) -> Script:
        """What is played."""
        return self._script

    def play(self, script: Script | Mapping[str, object]) -> None:
        """Show another machine, to programs that run as well.

        Raises:
            ScriptError: the script says something that the driver does not know.
        """
        before = {gpu.uuid: len(gpu.xids) for gpu in self._script.gpus}
        self._script = script if isinstance(script, Script) else from_json(dict(script))
        for gpu in self._script.gpus:
            self._events += ((gpu.uuid, code) for code in gpu.xids[before.get(gpu.uuid, 0) :])
        text = "".join(f"{line}\n" for line in lines(self._script, self._events))
        new = self._folder / f"{STATE}.new"
        new.write_text(text, encoding="ascii")
        new.replace(self._folder / STATE)

    def change(self, uuid: str, **changes: Any) -> None:
        """Show one GPU changed: `change("GPU-1", lost=True)`."""
        gpus = (replace(gpu, **changes) if gpu.uuid == uuid else gpu for gpu in self._script.gpus)
        self.play(replace(self._script, gpus=tuple(gpus)))

    def gpu(self, uuid: str) -> Gpu:
        """One GPU of the script."""
        return next(gpu for gpu in self._script.gpus if gpu.uuid == uuid)

    def load(self) -> None:
        """Be the libnvidia-ml of this process; the first one that is loaded stays, whatever comes later."""
        os.environ[VARIABLE] = str(self._folder / STATE)
        self._loaded = ctypes.CDLL(str(self._library))

    def calls(self, name: str) -> int:
        """How often this process called a function since `restart`."""
        count: int = self._loaded.stub_calls(name.encode("ascii"))
        return count

    def most_calls_at_once(self) -> int:
        """How many calls were in the library at the same time, the wait for events aside."""
        count: int = self._loaded.stub_most_calls_at_once()
        return count

    def samples_alive(self) -> int:
        """GPM samples that were allocated and not freed."""
        count: int = self._loaded.stub_samples_alive()
        return count

    def restart(self) -> None:
        """Forget sessions that were not ended, and what was counted."""
        self._loaded.stub_restart()
