"""The distribution of a real Keycloak: found on this machine, and built once into a cache.

What the operator has is never written to: the cache holds a copy of its own, with a database in memory and
without the operator's keycloak.conf. Source of the options: https://www.keycloak.org/server/all-config .
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["INSTALL", "VERSION", "built_keycloak", "clean_environment", "find_keycloak", "needed_keycloak"]

VERSION = "26.7.3"

INSTALL = (
    "Java 17 or newer, and `mvn -q dependency:get -Dtransitive=false "
    f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip` "
    "(or STEWARD_KEYCLOAK_HOME naming an unpacked one)"
)
"""What to do where there is none; without `-Dtransitive=false` Maven asks for a POM that does not exist."""

_ARCHIVE = Path(
    f".m2/repository/org/keycloak/keycloak-quarkus-dist/{VERSION}/keycloak-quarkus-dist-{VERSION}.zip"
)
_BUILD = ("--db=dev-mem", "--health-enabled=true", "--metrics-enabled=true")
_BUILD_SECONDS = 300
_LOG_TAIL = 2000


def find_keycloak() -> Path | None:
    """The unpacked distribution that the operator names, or the archive that Maven keeps; else None."""
    try:
        return needed_keycloak()
    except LabError:
        return None


def needed_keycloak(environ: Mapping[str, str] = os.environ) -> Path:
    """The same where there must be one. Raises `LabError` that says what is missing and what to do."""
    if shutil.which("java", path=environ.get("PATH")) is None and not environ.get("JAVA_HOME"):
        raise LabError(f"a real Keycloak needs Java, and there is none here; install {INSTALL}")
    named = environ.get("STEWARD_KEYCLOAK_HOME")
    if named:
        if not (Path(named) / "bin" / "kc.sh").is_file():
            raise LabError(f"STEWARD_KEYCLOAK_HOME is {named}, and there is no bin/kc.sh in it")
        return Path(named)
    archive = Path(environ.get("HOME") or Path.home()) / _ARCHIVE
    if not archive.is_file():
        raise LabError(f"there is no Keycloak {VERSION} at {archive}; install {INSTALL}")
    return archive


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without the KC_ settings of some other Keycloak, its database among them."""
    return {name: value for name, value in environ.items() if not name.startswith("KC_")}


def built_keycloak(
    source: Path, *, cache: Path | None = None, say: Callable[[str], None] | None = None
) -> Path:
    """The folder of a built distribution; `source` is copied and built once, by whoever comes first.

    It is kept in `cache`, the user's own where that is None; `say` hears that it will take a while. Raises
    `LabError` where the build fails.
    """
    home = (cache or _cache()) / _cached_name(source)
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker, mark = home / ".steward-built", _mark(source)
        if not marker.exists() or marker.read_text("utf-8") != mark:
            if say is not None:
                say(f"building Keycloak once into {home} (about 20 s)")
            _copy(source, home)
            _build(home)
            marker.write_text(mark, "utf-8")
    return home


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "steward-lab"


def _cached_name(source: Path) -> str:
    if source.is_file():
        return source.stem
    return f"{source.name}-{hashlib.sha256(bytes(source.resolve())).hexdigest()[:12]}"


def _mark(source: Path) -> str:
    """What a built copy was made from; another archive or a newer distribution in its place is built anew."""
    original = source if source.is_file() else source / "version.txt"
    changed = original.stat().st_mtime_ns if original.exists() else 0
    return f"{source.resolve()} {changed} {' '.join(_BUILD)}"


def _copy(source: Path, home: Path) -> None:
    unpacking = home.with_name(f"{home.name}.unpacking")
    for stale in (home, unpacking):
        shutil.rmtree(stale, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, home, ignore=shutil.ignore_patterns("data", "keycloak.conf"))
    else:
        with zipfile.ZipFile(source) as files:
            files.extractall(unpacking)
        (content,) = unpacking.iterdir()
        content.rename(home)
        unpacking.rmdir()
    for script in (home / "bin").glob("*.sh"):
        script.chmod(0o755)


def _build(home: Path) -> None:
    done = subprocess.run(  # noqa: S603  # a fixed command line
        [home / "bin" / "kc.sh", "build", *_BUILD],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(),
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        tail = done.stdout.decode(errors="replace")[-_LOG_TAIL:]
        raise LabError(f"building Keycloak ended with {done.returncode} (Java 17 is needed):\n{tail}")
