"""Flags of the collectors: --collector.NAME, --no-collector.NAME, --collector.NAME.SETTING.

argparse knows none of them, because that would import every collector; what it leaves over is read here, and
the table of collectors says what is right.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import UsageError

if TYPE_CHECKING:
    from exporters.collector import Host
    from exporters.settings import Setting

__all__ = ["Exporting", "describe", "parse"]

_FLAG = re.compile(r"--(no-)?(collector\.[a-z_][\w.-]*)(?:=(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Exporting:
    """What a command line says about the exporters: where they read, and their flags by name."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")
    udev_data: Path = Path("/run/udev/data")
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: bool = False

    def host(self, configured: Mapping[str, Sequence[str]]) -> "Host":
        """This host for the exporters; the command line goes before what agent.yaml says."""
        from exporters.collector import Host
        from exporters.settings import Settings
        from exporters.system.tree import Tree

        tree = Tree(procfs=self.procfs, sysfs=self.sysfs, rootfs=self.rootfs, udev_data=self.udev_data)
        return Host(tree, Settings({**configured, **self.given}), os.uname().nodename)


def parse(words: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """What was given, by flag name; a switch has the text `true` or `false`.

    Raises:
        UsageError: a word is no flag of a collector, or a flag lacks its value.
    """
    given: dict[str, tuple[str, ...]] = {}
    rest = iter(words)
    for word in rest:
        match = _FLAG.fullmatch(word)
        if match is None:
            raise UsageError(f"unrecognized argument: {word}")
        name = match[2]
        given[name] = (*given.get(name, ()), _value(name, match[1] is not None, match[3], rest))
    return given


def describe() -> str:
    """The collectors and their flags, for --help."""
    from exporters.table import DISABLE_DEFAULTS, TABLE

    lines = ["collectors (on by default unless said otherwise; --no-collector.NAME switches one off):"]
    for row in TABLE:
        off = "" if row.by_default else " [off]"
        lines.append(f"  --collector.{row.name:<18}{row.source}{off}")
        for setting in row.settings:
            default = "" if setting.default in (None, "", (), False) else f" (default {setting.default})"
            lines.append(
                f"      --{setting.name}{'' if setting.is_switch else '=…'}  {setting.help}{default}"
            )
    lines.append(f"  --{DISABLE_DEFAULTS.name}  {DISABLE_DEFAULTS.help}")
    return "\n".join(lines)


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


def _setting(name: str) -> "Setting[object]":
    from exporters.errors import SettingError
    from exporters.table import find

    try:
        return find(name)
    except SettingError as error:
        raise UsageError(str(error)) from error
