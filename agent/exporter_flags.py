"""Flags of the exporters: --collector.NAME, --no-collector.NAME, --collector.NAME.SETTING, --web.SETTING.

argparse knows none of them, because that would import every collector; what it leaves over is read here, and
the table of collectors says what is right.
"""

import difflib
import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent import VERSION
from agent.errors import UsageError

if TYPE_CHECKING:
    from exporters.collector import Host
    from exporters.serving.web import Options
    from exporters.settings import Setting
    from exporters.table import Row

__all__ = ["Exporting", "describe", "parse", "problems"]

WIDTH = 100

_FLAG = re.compile(r"--(no-)?((?:collector|web)\.[a-z_][\w.-]*)(?:=(.*))?", re.DOTALL)
_LISTEN = "web.listen-address"
_OWN_FLAGS = ("config", "insecure", "listen", "path.procfs", "path.rootfs", "path.sysfs", "path.udev.data")
_NEAR = 0.7
_COLUMN = 36


@dataclass(frozen=True)
class Exporting:
    """What a command line says about the exporters: where they read and serve, and their flags by name."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")
    udev_data: Path = Path("/run/udev/data")
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listen: tuple[str, ...] = ()
    insecure: bool = False

    def host(self, configured: Mapping[str, Sequence[str]]) -> "Host":
        """This host for the exporters; the command line goes before what agent.yaml says.

        Raises UsageError where a folder was named that is none.
        """
        from exporters.collector import Host
        from exporters.settings import Settings
        from exporters.system.tree import Tree

        for name, path, default in (
            ("procfs", self.procfs, "/proc"),
            ("sysfs", self.sysfs, "/sys"),
            ("rootfs", self.rootfs, "/"),
        ):
            if str(path) != default and not path.is_dir():
                raise UsageError(f"--path.{name}: {path} is no folder")
        tree = Tree(procfs=self.procfs, sysfs=self.sysfs, rootfs=self.rootfs, udev_data=self.udev_data)
        addresses = (*self.listen, *self.given.get(_LISTEN, ()))
        served = {_LISTEN: addresses} if addresses else {}
        return Host(tree, Settings({**configured, **self.given, **served}), os.uname().nodename, VERSION)

    def options(self, host: "Host", address: str) -> "Options":
        """How to serve; `address` holds where no flag names another.

        Raises:
            SettingError: a flag has a value that it does not take.
        """
        from exporters.serving.web import options

        return options(host.settings, addresses=(address,), insecure=self.insecure, version=VERSION)


def parse(words: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """What was given, by flag name; a switch has the text `true` or `false`.

    Raises:
        UsageError: a word is no flag of the exporters, or a flag lacks its value.
    """
    given: dict[str, tuple[str, ...]] = {}
    rest = iter(words)
    for word in rest:
        match = _FLAG.fullmatch(word)
        if match is None:
            raise UsageError(f"unrecognized argument: {word}{_suggestion(word)}")
        name = match[2]
        if match[1] is not None and _is_elsewhere(name):
            continue
        given[name] = (*given.get(name, ()), _value(name, match[1] is not None, match[3], rest))
    return given


def problems(given: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Name and fault of each flag that is unknown or has a value that it does not take."""
    from exporters.errors import SettingError
    from exporters.settings import Settings
    from exporters.table import find

    settings = Settings(given)
    for name in given:
        try:
            setting, _ = find(name)
        except SettingError:
            yield name, f"no such flag{_suggestion('--' + name)}"
            continue
        try:
            settings[setting]
        except SettingError as error:
            yield name, str(error).removeprefix(f"--{name}: ")


def describe() -> str:
    """The flags of the exporters, for --help."""
    from exporters.serving import web
    from exporters.table import DISABLE_DEFAULTS, TABLE

    parts = ["serving:", *(line for setting in web.SETTINGS for line in _flag_lines(setting, "  "))]
    parts += [
        "",
        *textwrap.wrap(
            "Collectors: --collector.NAME switches one on, --no-collector.NAME off; a flag of a collector "
            "switches it on too, unless --no-collector.NAME is given; "
            f"--{DISABLE_DEFAULTS.name} leaves only those that are named, by either. In a scrape's address, "
            "?collect[]=NAME or ?exclude[]=NAME choose among those that run.",
            WIDTH,
        ),
    ]
    for title, by_default in (("on by default:", True), ("off by default:", False)):
        rows = [row for row in TABLE if row.by_default is by_default]
        parts += ["", title, *(line for row in rows for line in _row_lines(row))]
    return "\n".join(parts)


def _row_lines(row: "Row") -> Iterator[str]:
    lead = f"  {row.name:<20}"
    yield from textwrap.wrap(row.source, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))
    for setting in row.settings:
        yield from _flag_lines(setting, " " * 6)


def _flag_lines(setting: "Setting[object]", indent: str) -> Iterator[str]:
    """A flag and what it is for, below a long one."""
    flag = f"{indent}--{setting.name}{'' if setting.is_switch else '=…'}"
    shown = _shown(setting.default)
    words = f"{setting.help}{f' (default {shown})' if shown else ''}"
    lead = f"{flag:<{_COLUMN}}"
    if len(flag) >= _COLUMN:
        yield flag
        lead = indent + " " * 4
    below = " " * len(lead)
    yield from textwrap.wrap(
        words, WIDTH, initial_indent=lead, subsequent_indent=below, break_on_hyphens=False
    )


def _shown(default: object) -> str:
    """A default as one would type it; nothing where there is none."""
    if default is None or default is False or default in ("", ()):
        return ""
    if default is True:
        return "on"
    if isinstance(default, float):
        return f"{default:g}s"
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _value(name: str, negated: bool, inline: str | None, rest: Iterator[str]) -> str:
    if _setting(name).is_switch:
        if inline is not None and (negated or inline not in ("true", "false")):
            raise UsageError(f"--{name}: a switch takes no value; --no-{name} is its opposite")
        return inline or ("false" if negated else "true")
    if negated:
        raise UsageError(f"--no-{name}: only a switch has an opposite")
    value = next(rest, None) if inline is None else inline
    if value is None:
        raise UsageError(f"--{name}: its value is missing")
    return value


def _is_elsewhere(name: str) -> bool:
    """Whether it is a collector that node_exporter has: off it is, as whoever says so wants it."""
    from exporters.table import ELSEWHERE

    return name.removeprefix("collector.") in ELSEWHERE


def _setting(name: str) -> "Setting[object]":
    from exporters.errors import SettingError
    from exporters.table import find

    try:
        return find(name)[0]
    except SettingError as error:
        suggestion = "" if _is_elsewhere(name) else _suggestion("--" + name)
        raise UsageError(f"{error}{suggestion}") from error


def _suggestion(word: str) -> str:
    """The flag that was meant, if one is near."""
    from exporters.serving import web
    from exporters.table import DISABLE_DEFAULTS, TABLE

    name = word.partition("=")[0].removeprefix("--").removeprefix("no-")
    known = [*_OWN_FLAGS, DISABLE_DEFAULTS.name, *(setting.name for setting in web.SETTINGS)]
    known += [row.switch.name for row in TABLE]
    if name.count(".") > 1:
        known += [setting.name for row in TABLE for setting in row.settings]
    near = difflib.get_close_matches(name, known, 1, _NEAR)
    return f"; did you mean --{near[0]}?" if near else ""
