"""Settings of the collectors, each a flag under node_exporter's name where node_exporter has it.

A `Setting` is a constant of the module that reads it; the table (exporters/table.py) finds a module by the
collector's name, so nobody imports a collector only to learn its flags. Values arrive as text, from the
command line or from agent.yaml, and are parsed when the collector is built.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from exporters.errors import SettingError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """A flag without its dashes, such as `collector.netdev.device-exclude`.

    `parse` makes the value of the texts that were given, one for each time that the flag was; where none was,
    `default` holds. `is_switch` says that the flag takes no value and has a `--no-` form.
    """

    name: str
    default: T_co
    help: str
    parse: Callable[[Sequence[str]], T_co]
    is_switch: bool = False


class Settings:
    """What was given, by flag name.

    Raises, when a value is read:
        SettingError: the text is not what the setting takes; it names the flag.
    """

    def __init__(self, given: Mapping[str, Sequence[str]] | None = None) -> None:
        self._given = {} if given is None else {name: tuple(texts) for name, texts in given.items()}

    def __getitem__(self, setting: Setting[T]) -> T:
        texts = self._given.get(setting.name, ())
        if not texts:
            return setting.default
        try:
            return setting.parse(texts)
        except ValueError as error:
            raise SettingError(f"--{setting.name}: {error}") from error

    @property
    def names(self) -> tuple[str, ...]:
        """The flags that were given."""
        return tuple(self._given)


def text(name: str, default: str, help_text: str) -> Setting[str]:
    """A setting of one line of text; the last one given holds."""
    return Setting(name, default, help_text, lambda texts: texts[-1])


def texts(name: str, default: tuple[str, ...], help_text: str) -> Setting[tuple[str, ...]]:
    """A setting that may be given several times."""
    return Setting(name, default, help_text, tuple)


def switch(name: str, *, default: bool, help_text: str) -> Setting[bool]:
    """A setting that is on or off: `--NAME` and `--no-NAME`."""
    return Setting(name, default, help_text, lambda texts: _boolean(texts[-1]), is_switch=True)


def whole(name: str, default: int, help_text: str, *, least: int = 0, most: int = 1 << 31) -> Setting[int]:
    """A setting of a whole number within bounds."""

    def parse(texts: Sequence[str]) -> int:
        try:
            value = int(texts[-1])
        except ValueError:
            raise ValueError(f"{texts[-1]!r} is no whole number") from None
        if not least <= value <= most:
            raise ValueError(f"{value} is not from {least} to {most}")
        return value

    return Setting(name, default, help_text, parse)


def duration(name: str, default_seconds: float, help_text: str) -> Setting[float]:
    """A setting in seconds, written as `500ms`, `5s`, `1.5m`, `2h`, `1d`."""
    return Setting(name, default_seconds, help_text, lambda texts: _seconds(texts[-1]))


def file_path(name: str, default: Path | None, help_text: str) -> Setting[Path | None]:
    """A setting that names a file or a folder."""
    return Setting(name, default, help_text, lambda texts: Path(texts[-1]))


def expression(name: str, default: str, help_text: str) -> Setting[str]:
    """A setting that is a regular expression, checked when it is read; empty means none.

    Go's RE2 and Python's `re` agree on what such flags usually hold.
    """

    def parse(texts: Sequence[str]) -> str:
        try:
            re.compile(texts[-1])
        except re.error as error:
            raise ValueError(f"{texts[-1]!r} is not a regular expression: {error}") from error
        return texts[-1]

    return Setting(name, default, help_text, parse)


def _boolean(given: str) -> bool:
    if given not in ("true", "false"):
        raise ValueError(f"{given!r} is neither true nor false")
    return given == "true"


def _seconds(given: str) -> float:
    match = _DURATION.fullmatch(given)
    if match is None:
        raise ValueError(f"{given!r} is no duration such as 500ms, 5s or 1m")
    return float(match[1]) * _SECONDS[match[2]]
