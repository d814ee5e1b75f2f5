"""How metrics are served: the flags that node_exporter has for it, and ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporters.errors import SettingError
from exporters.settings import Setting, Settings, file_path, switch, text, texts, whole

__all__ = ["SETTINGS", "Options", "options"]

MOST_SCRAPES = 40

LISTEN_ADDRESS = texts(
    "web.listen-address", (), "Address to serve on, HOST:PORT; may be given again. The same as --listen."
)
TELEMETRY_PATH = text("web.telemetry-path", "/metrics", "Path of the metrics.")
MAX_REQUESTS = whole(
    "web.max-requests", MOST_SCRAPES, "Scrapes that may be under way at once; 0 sets no limit.", most=512
)
DISABLE_EXPORTER_METRICS = switch(
    "web.disable-exporter-metrics", default=False, help_text="Leave out the metrics of this process itself."
)
CONFIG_FILE = file_path(
    "web.config.file", None, "TLS and users, in the file format of Prometheus' exporter-toolkit."
)
CORS_ORIGINS = texts(
    "web.cors-origins", (), "Origin whose pages may read /gpu and other JSON; may be given again, * is any."
)
SETTINGS: tuple[Setting[object], ...] = (
    LISTEN_ADDRESS,
    TELEMETRY_PATH,
    MAX_REQUESTS,
    DISABLE_EXPORTER_METRICS,
    CONFIG_FILE,
    CORS_ORIGINS,
)

_RESERVED = ("/", "/healthz", "/gpu", "/sd/guests")


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
    path = settings[TELEMETRY_PATH]
    if not path.startswith("/") or path in _RESERVED or not path.isascii() or not path.isprintable():
        raise SettingError(f"--{TELEMETRY_PATH.name}: {path!r} is no path for metrics")
    return Options(
        addresses=settings[LISTEN_ADDRESS] or tuple(addresses),
        telemetry_path=path,
        most_scrapes=settings[MAX_REQUESTS],
        config_file=settings[CONFIG_FILE],
        cors_origins=settings[CORS_ORIGINS],
        insecure=insecure,
        version=version,
    )
