"""Which devices a collector reports: node_exporter's pairs of include and exclude expressions."""

import re
from collections.abc import Callable
from functools import lru_cache

from exporters.errors import ExporterError, SettingError
from exporters.settings import Setting, Settings


def accepts(*, exclude: str = "", include: str = "") -> Callable[[str], bool]:
    """A predicate over names; answers are remembered, since the same names come at each scrape.

    Raises:
        ExporterError: both expressions were given, or one is not a regular expression.
    """
    if exclude and include:
        raise ExporterError("an include and an exclude expression cannot be combined")
    try:
        pattern = re.compile(include or exclude or r"(?!)")
    except re.error as error:
        raise ExporterError(f"{include or exclude!r} is not a regular expression: {error}") from error
    wanted = bool(include)

    @lru_cache(maxsize=1024)
    def accept(name: str) -> bool:
        return (pattern.search(name) is not None) == wanted

    return accept


def chosen(given: Settings, include: Setting[str], exclude: Setting[str]) -> Callable[[str], bool]:
    """A predicate of two flags; an include expression does away with what is excluded by default.

    Raises:
        SettingError: both flags were given.
    """
    wanted = given[include]
    if wanted and exclude.name in given.names and given[exclude]:
        raise SettingError(f"--{include.name} and --{exclude.name} cannot be combined")
    return accepts(include=wanted) if wanted else accepts(exclude=given[exclude])
