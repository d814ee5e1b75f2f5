"""How metrics are served: the flags that node_exporter has for it, and ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporters.settings import Setting, Settings, file_path, switch, texts, whole

__all__ = ["SETTINGS", "Options", "options"]

MOST_SCRAPES = 40

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
"""What stands in a request as it is: nothing of it begins a query or is coded (RFC 3986, 3.3)."""
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
"""As browsers write one: lower case, no path. None is `null`, which any page in a sandbox has."""
_RESERVED = ("/", "/healthz", "/gpu", "/sd/guests")


def _path(given: Sequence[str]) -> str:
    path = given[-1]
    if _PATH.fullmatch(path) is None or path in _RESERVED:
        raise ValueError(f"{path!r} is no path for metrics, such as /metrics")
    return path


def _origins(given: Sequence[str]) -> tuple[str, ...]:
    for origin in given:
        if origin != "*" and _ORIGIN.fullmatch(origin) is None:
            raise ValueError(f"{origin!r} is no origin, such as https://wall.example.org")
    return tuple(given)


LISTEN_ADDRESS = texts(
    "web.listen-address", (), "Address to serve on, HOST:PORT; may be given again. The same as --listen."
)
TELEMETRY_PATH = Setting("web.telemetry-path", "/metrics", "Path of the metrics.", _path)
MAX_REQUESTS = whole(
    "web.max-requests", MOST_SCRAPES, "Scrapes that may be under way at once; 0 sets no limit.", most=512
)
DISABLE_EXPORTER_METRICS = switch(
    "web.disable-exporter-metrics", default=False, help_text="Leave out the metrics of this process itself."
)
CONFIG_FILE = file_path(
    "web.config.file", None, "TLS and users, in the file format of Prometheus' exporter-toolkit."
)
CORS_ORIGINS: Setting[tuple[str, ...]] = Setting(
    "web.cors-origins",
    (),
    "Origin whose pages may read /gpu and other JSON; may be given again, * is any.",
    _origins,
)
SETTINGS: tuple[Setting[object], ...] = (
    LISTEN_ADDRESS,
    TELEMETRY_PATH,
    MAX_REQUESTS,
    DISABLE_EXPORTER_METRICS,
    CONFIG_FILE,
    CORS_ORIGINS,
)


@dataclass(frozen=True)
class Options:
    """How to serve; see the flags. `most_scrapes` 0 is no limit; `version` is for people; clients have
    `patience_seconds` to send the rest of a request, to read an answer, to shake hands.
    """

    addresses: tuple[str, ...] = ()
    telemetry_path: str = "/metrics"
    most_scrapes: int = MOST_SCRAPES
    config_file: Path | None = None
    cors_origins: tuple[str, ...] = ()
    insecure: bool = False
    version: str = ""
    patience_seconds: float = 30.0


def options(
    settings: Settings, *, addresses: Sequence[str] = (), insecure: bool = False, version: str = ""
) -> Options:
    """What the flags say; `addresses` hold where no flag names others.

    Raises:
        SettingError: a flag has a value that it does not take.
    """
    return Options(
        addresses=settings[LISTEN_ADDRESS] or tuple(addresses),
        telemetry_path=settings[TELEMETRY_PATH],
        most_scrapes=settings[MAX_REQUESTS],
        config_file=settings[CONFIG_FILE],
        cors_origins=settings[CORS_ORIGINS],
        insecure=insecure,
        version=version,
    )
