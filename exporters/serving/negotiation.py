"""What a client may be answered with: format by Accept, gzip by Accept-Encoding (RFC 9110, section 12.5).

Prometheus sends the same two fields at each scrape for years, so what they mean is remembered.
"""

from collections.abc import Iterator
from functools import lru_cache

from exporters.text import Format

_REMEMBERED = 32
_LONGEST = 2048


@lru_cache(_REMEMBERED)
def wanted_format(accept: str) -> Format:
    """The format for an Accept field: OpenMetrics where it is wanted at least as much as text.

    Versions that we do not write count as not asked for; whoever asks for nothing known gets text.
    """
    best, best_weight = Format.TEXT, 0.0
    for media, parameters, weight in _clauses(accept):
        found = _format(media, parameters.get("version", ""))
        if found is not None and weight > best_weight:
            best, best_weight = found, weight
    return best


@lru_cache(_REMEMBERED)
def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding field allows gzip."""
    allowed = {coding: weight > 0 for coding, _, weight in _clauses(accept_encoding)}
    return allowed.get("gzip", allowed.get("*", False))


def _format(media: str, version: str) -> Format | None:
    if media == "application/openmetrics-text" and version in ("", "1.0.0"):
        return Format.OPENMETRICS
    # Text 1.0.0 is 0.0.4 with quoted names, of which we have none; what we answer is named 0.0.4.
    if media in ("text/plain", "text/*", "*/*") and version in ("", "0.0.4", "1.0.0"):
        return Format.TEXT
    return None


def _clauses(field: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, parameters and weight of each member of a list; what has no readable weight weighs nothing."""
    for clause in field[:_LONGEST].lower().split(","):
        name, *rest = (part.strip() for part in clause.split(";"))
        parameters = {
            key.strip(): value.strip(' "') for key, _, value in (part.partition("=") for part in rest)
        }
        if name:
            yield name, parameters, _weight(parameters.pop("q", "1"))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
