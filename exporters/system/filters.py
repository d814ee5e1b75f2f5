"""Which devices a collector reports: node_exporter's pairs of include and exclude expressions."""

import re
from collections.abc import Callable
from functools import lru_cache

from exporters.errors import ExporterError


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
