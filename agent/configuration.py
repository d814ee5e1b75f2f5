"""agent.yaml: what the owner of this host allows, and where things are.

Unknown keys are refused and an error names the file and the key. Scalars may also come from the
environment (`STEWARD_AGENT_STATE`, `STEWARD_AGENT_METRICS_LISTEN`, …). What an action may touch (`limits`,
`path_sets`, `repositories`, `units`, `resources`) comes from the file alone: receipts carry the file's
SHA-256, and that hash has to cover it.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent import strict_yaml
from agent.errors import ConfigurationError

__all__ = [
    "ExecutorSettings",
    "Loaded",
    "Metrics",
    "Repository",
    "Resources",
    "Settings",
    "load",
    "parse",
]

_MAXIMUM_BYTES = 1 << 20
_PREFIX = "STEWARD_AGENT_"
_DAY = 86_400
_MOST = 1 << 40
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")
_LISTEN = re.compile(r"[^\s/@]+:[0-9]{1,5}")
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_FILE_ONLY = ("limits", "path_sets", "repositories", "units", "resources")


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where /metrics is served, and the address that the controller hands to Prometheus.

    `advertise` is a URL such as `http://web1.example.org:9095`; empty means nothing is advertised unless
    `listen` is an address that others can reach. `flags` are those of the collectors, without their dashes,
    such as `collector.netdev.device-exclude`; a switch has the value true or false.
    """

    listen: str = "127.0.0.1:9095"
    advertise: str = ""
    flags: dict[str, bool | str | list[str]] = msgspec.field(default_factory=dict)


class ExecutorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may talk to the executor, when it leaves, and how much disk it keeps free for receipts."""

    network_user: str = "steward-agent"
    idle_seconds: int = 300
    reserve_mib: int = 32
    restic: str = "restic"


class Repository(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A restic repository that actions name; `url` is an absolute path on this host."""

    url: str
    password_file: str


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of one run of a kind: wall time, memory of the whole tree, processes, kept output."""

    seconds: int = 21_600
    memory_mib: int = 4_096
    processes: int = 128
    output_kib: int = 64


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of agent.yaml."""

    state: str
    socket: str = "/run/steward/executor.sock"
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    executor: ExecutorSettings = msgspec.field(default_factory=ExecutorSettings)
    limits: dict[str, Any] = msgspec.field(default_factory=lambda: {"kinds": {"host.ping": {}}})
    path_sets: dict[str, list[str]] = msgspec.field(default_factory=dict)
    repositories: dict[str, Repository] = msgspec.field(default_factory=dict)
    units: dict[str, str] = msgspec.field(default_factory=dict)
    resources: dict[str, Resources] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """agent.yaml as it was read: settings, where it stands, and the hash that goes into receipts."""

    settings: Settings
    path: Path
    sha256: str

    @property
    def state(self) -> Path:
        """The agent's state directory, owned by the executor's user."""
        return Path(self.settings.state)

    @property
    def executor_directory(self) -> Path:
        """Journal, trust and receipt key; nobody but the executor may look inside."""
        return self.state / "executor"

    @property
    def network_directory(self) -> Path:
        """Transport key, CA and identity of the network process."""
        return self.state / "network"

    @property
    def backups_directory(self) -> Path:
        """One JSON file per path set and repository, read by the exporter."""
        return self.state / "backups"

    @property
    def exporter_flags(self) -> dict[str, tuple[str, ...]]:
        """Flags of the collectors by name, as the exporters take them; the state of backups is ours."""
        flags = {name: _texts(value) for name, value in self.settings.metrics.flags.items()}
        return {"collector.backup.directory": (str(self.backups_directory),), **flags}

    def resources(self, kind: str) -> Resources:
        """Return the bounds of one run of `kind`."""
        return self.settings.resources.get(kind, Resources())


def load(path: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read and check agent.yaml.

    Raises ConfigurationError, naming file and key, where the file is missing, writable by strangers, too
    long, not YAML, or not what `Settings` describes.
    """
    try:
        with path.open("rb") as handle:
            _check_owner(path, os.fstat(handle.fileno()))
            data = handle.read(_MAXIMUM_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}",
            hint="name the file with --config, or write it: `state` and `limits` are enough to begin",
        ) from error
    return parse(data, path, environ or {})


def parse(data: bytes, path: Path, environ: Mapping[str, str]) -> Loaded:
    """Turn the bytes of agent.yaml and the environment into settings; raises ConfigurationError."""
    if len(data) > _MAXIMUM_BYTES:
        raise ConfigurationError(f"{path}: longer than {_MAXIMUM_BYTES} bytes")
    try:
        tree = strict_yaml.read(data)
    except strict_yaml.BadYamlError as error:
        raise ConfigurationError(f"{path}{error.place}: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{path}: the top level must be a map with at least `state`")
    merged = _with_environment(tree, environ)
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    _check(settings, path)
    return Loaded(settings, path.absolute(), hashlib.sha256(data).hexdigest())


def _with_environment(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in tree.items()}
    for name, places in _variables().items():
        if name not in environ:
            continue
        section, key, convert = places
        value = environ[name]
        try:
            typed: str | int = int(value) if convert is int else value
        except ValueError as error:
            raise ConfigurationError(f"{name}: {value!r} is not a whole number") from error
        if not section:
            merged[key] = typed
            continue
        inner = merged.setdefault(section, {})
        if isinstance(inner, dict):
            inner[key] = typed
    known = {*_variables(), _PREFIX + "CONFIG"}
    unknown = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known)
    if unknown:
        file_only = [name for name in unknown if name[len(_PREFIX) :].lower().startswith(_FILE_ONLY)]
        why = "comes from agent.yaml alone, receipts carry its hash" if file_only else "no such setting"
        raise ConfigurationError(f"{(file_only or unknown)[0]}: {why}")
    return merged


def _variables() -> dict[str, tuple[str, str, type]]:
    names: dict[str, tuple[str, str, type]] = {
        "STATE": ("", "state", str),
        "SOCKET": ("", "socket", str),
    }
    for section, struct in (("metrics", Metrics), ("executor", ExecutorSettings)):
        for field in msgspec.structs.fields(struct):
            if field.type not in (int, str):
                continue
            kind = int if field.type is int else str
            names[f"{section}_{field.name}".upper()] = (section, field.name, kind)
    return {_PREFIX + name: place for name, place in names.items()}


def _check(settings: Settings, path: Path) -> None:
    """Check what types cannot say, and name the key; raises ConfigurationError."""
    for key, problem in (
        *_bad_names(settings),
        *_bad_places(settings),
        *_bad_limits(settings),
        *_bad_numbers(settings),
        *_bad_addresses(settings),
    ):
        raise ConfigurationError(f"{path}: {key}: {problem}")


def _bad_names(settings: Settings) -> Iterator[tuple[str, str]]:
    for section in ("path_sets", "repositories", "units"):
        for name in getattr(settings, section):
            if not _NAME.fullmatch(name):
                yield f"{section}.{name!r}", "a name is letters, digits and ._@- and begins with none of .@-"
    files: dict[str, str] = {}
    for paths in settings.path_sets:
        for repository in settings.repositories:
            pair = f"{paths} in {repository}"
            before = files.setdefault(f"{paths}.{repository}.json", pair)
            if before != pair:
                yield f"path_sets.{paths}", f"{pair} and {before} would leave their state in one file"


def _bad_places(settings: Settings) -> Iterator[tuple[str, str]]:
    places = {"state": settings.state, "socket": settings.socket}
    for name, repository in settings.repositories.items():
        places[f"repositories.{name}.url"] = repository.url
        places[f"repositories.{name}.password_file"] = repository.password_file
    for name, paths in settings.path_sets.items():
        places.update({f"path_sets.{name}[{index}]": value for index, value in enumerate(paths)})
        if not paths:
            yield f"path_sets.{name}", "names no path"
    for key, value in places.items():
        if not value.startswith("/") or not _is_usable(value):
            yield key, f"{value!r} is not an absolute path"
    for key, value in (
        ("restic", settings.executor.restic),
        ("network_user", settings.executor.network_user),
    ):
        if not value or value.startswith("-") or not _is_usable(value):
            yield f"executor.{key}", f"{value!r} is no name"


def _bad_limits(settings: Settings) -> Iterator[tuple[str, str]]:
    from protocol.documents import Limits  # late: commands that start small read no limits
    from protocol.errors import BadDocument

    try:
        Limits.parse(settings.limits)
    except BadDocument as error:
        yield "limits", str(error)


def _bad_numbers(settings: Settings) -> Iterator[tuple[str, str]]:
    numbers = {
        "executor.idle_seconds": (settings.executor.idle_seconds, 1, _DAY),
        "executor.reserve_mib": (settings.executor.reserve_mib, 0, _MOST),
    }
    for kind, bounds in settings.resources.items():
        numbers[f"resources.{kind}.seconds"] = (bounds.seconds, 1, 30 * _DAY)
        numbers[f"resources.{kind}.memory_mib"] = (bounds.memory_mib, 1, _MOST)
        numbers[f"resources.{kind}.processes"] = (bounds.processes, 1, 1 << 22)
        numbers[f"resources.{kind}.output_kib"] = (bounds.output_kib, 1, 1 << 14)
    for key, (value, least, most) in numbers.items():
        if not least <= value <= most:
            yield key, f"{value} is not from {least} to {most}"


def _bad_addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    listen, advertise = settings.metrics.listen, settings.metrics.advertise
    if not _LISTEN.fullmatch(listen):
        yield "metrics.listen", f"{listen!r} is not HOST:PORT"
    if advertise and not _URL.fullmatch(advertise):
        yield "metrics.advertise", f"{advertise!r} is not an address such as http://web1.example.org:9095"


def _texts(value: bool | str | list[str]) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (value,) if isinstance(value, str) else tuple(value)


def _is_usable(text: str) -> bool:
    """Whether the kernel can be given the text: no NUL, nothing without bytes (a lone surrogate)."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _check_owner(path: Path, found: os.stat_result) -> None:
    """The limits are the owner's: nobody else may be able to write them."""
    if found.st_uid not in {0, os.geteuid()}:
        # The network process reads the file as an unprivileged user: root's file is fine for it.
        raise ConfigurationError(f"{path}: belongs to uid {found.st_uid}, not to root or to this user")
    # Many distributions give people a group of their own and umask 002; for root's file that is no excuse.
    strangers = stat.S_IWOTH if os.geteuid() else stat.S_IWGRP | stat.S_IWOTH
    if found.st_mode & strangers:
        raise ConfigurationError(f"{path}: others may write it", hint=f"chmod go-w {path}")
