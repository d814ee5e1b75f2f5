"""A real Keycloak for the tests: unpacked and built once into a cache, started on free ports, stopped after.

Database in memory; HTTPS with a throw-away authority beside plain HTTP on loopback. Source of the options:
https://www.keycloak.org/server/all-config .
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.certificates import make_certificates
from tests.real.processes import free_port, started

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILD = ("--db=dev-mem", "--health-enabled=true", "--metrics-enabled=true")
_BUILD_SECONDS = 300
_START_SECONDS = 180


@dataclass(frozen=True)
class RunningKeycloak:
    """Where a Keycloak listens, and the account that may do everything in it."""

    url: str
    plain_url: str
    ca_file: Path | None
    username: str
    password: str


def cache_folder() -> Path:
    """Where built servers are kept between test runs."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "steward-tests"


def built_keycloak(source: Path) -> Path:
    """The folder of a built distribution; an archive is unpacked and built once, whoever comes first.

    Raises `subprocess.CalledProcessError` where the build fails.
    """
    if source.is_dir():
        return source
    home = cache_folder() / source.stem
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{source.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = home / ".steward-built"
        if not marker.exists():
            _unpack_and_build(source, home)
            marker.write_text(" ".join(_BUILD))
    return home


def _unpack_and_build(archive: Path, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    unpacking = home.with_suffix(".unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)
    with zipfile.ZipFile(archive) as files:
        files.extractall(unpacking)
    (content,) = unpacking.iterdir()
    content.rename(home)
    unpacking.rmdir()
    for script in (home / "bin").glob("*.sh"):
        script.chmod(0o755)
    subprocess.run(
        [home / "bin" / "kc.sh", "build", *_BUILD], check=True, capture_output=True, timeout=_BUILD_SECONDS
    )


@contextmanager
def running_keycloak(source: Path, folder: Path, *, heap: str = "1g") -> Iterator[RunningKeycloak]:
    """Run a Keycloak until the block ends; `source` is what `real_server` gives, logs go to `folder`."""
    home = built_keycloak(source)
    files = make_certificates(folder)
    https, plain, management = free_port(), free_port(), free_port()
    argv: list[str | Path] = [
        home / "bin" / "kc.sh",
        "start",
        "--optimized",
        "--hostname-strict=false",
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        f"--http-port={plain}",
        f"--https-port={https}",
        f"--https-certificate-file={files.certificate}",
        f"--https-certificate-key-file={files.key}",
        f"--http-management-port={management}",
        "--http-management-scheme=http",
    ]
    environment = {
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin",
        "JAVA_OPTS_KC_HEAP": f"-Xms256m -Xmx{heap}",
    }
    with started(
        argv,
        log=folder / "keycloak.log",
        ready=f"http://127.0.0.1:{management}/health/ready",
        environment=environment,
        within_seconds=_START_SECONDS,
    ):
        yield RunningKeycloak(
            f"https://127.0.0.1:{https}", f"http://127.0.0.1:{plain}", files.ca, "admin", "admin"
        )
