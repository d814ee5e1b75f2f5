"""One host as a scrape target, in the form of Prometheus' HTTP service discovery.

Prometheus drops the whole answer for one bad label or address (prometheus/discovery/http), so a host that
tells nonsense must not cost the others their metrics: what a host says of itself is checked here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_metrics_address", "target"]

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_PATH = re.compile(r"[A-Za-z0-9._~/-]*")
_NO_LABEL = re.compile(r"[^A-Za-z0-9_]")
_OURS = frozenset({"host", "instance", "job"})
"""Labels that rules and dashboards go by: no policy renames a host or moves it to another job."""


def is_metrics_address(address: str) -> bool:
    """Whether a text is `http(s)://HOST[:PORT][/PATH]` and nothing more: no user, no query, no fragment."""
    scheme, found, rest = address.partition("://")
    netloc, slash, path = rest.partition("/")
    is_sound = _HOST.fullmatch(netloc) is not None and _PATH.fullmatch(slash + path) is not None
    return bool(found) and scheme in ("http", "https") and is_sound


def target(name: str, address: str, labels: Mapping[str, str]) -> dict[str, object] | None:
    """The target of a host with the labels that the policy gives it; None where it serves no metrics.

    Characters that Prometheus has not in label names become `_`; a policy sets no label that begins with
    `__`, which would steer the scrape, and none of `host`, `instance`, `job`.
    """
    if not is_metrics_address(address):
        return None
    parts = urlsplit(address)
    told = {_label(label): text for label, text in sorted(labels.items())}
    told = {label: text for label, text in told.items() if label not in _OURS and not label.startswith("__")}
    told |= {"host": name, "__scheme__": parts.scheme}
    if parts.path.strip("/"):
        told["__metrics_path__"] = parts.path
    return {"targets": [parts.netloc], "labels": told}


def _label(name: str) -> str:
    safe = _NO_LABEL.sub("_", name)
    return f"_{safe}" if safe[:1].isdigit() else safe
