"""The flags of the `pve` collector."""

from collections.abc import Sequence

from exporters.clients.https import Address, parse_url
from exporters.clients.tls import parse_fingerprint
from exporters.errors import SettingError
from exporters.settings import Setting, duration, file_path, text, texts

DEFAULT_URL = "https://localhost:8006"
SCOPES = ("cluster", "node")


def _scope(given: Sequence[str]) -> str:
    if given[-1] not in SCOPES:
        raise ValueError(f"{given[-1]!r} is none of {', '.join(SCOPES)}")
    return given[-1]


URL = texts(
    "collector.pve.url",
    (DEFAULT_URL,),
    "Address of the API; several nodes of one cluster are tried in turn.",
)
TOKEN_FILE = file_path(
    "collector.pve.token-file", None, "File with the API token, USER@REALM!ID=SECRET; not readable by others."
)
CA_FILE = file_path(
    "collector.pve.ca-file",
    None,
    "Certificates of the authorities to trust; by default the cluster's own on a Proxmox VE host, else the "
    "system's.",
)
FINGERPRINT = texts(
    "collector.pve.fingerprint",
    (),
    "SHA-256 fingerprint of a node's certificate to trust in place of authorities and names.",
)
SERVER_NAME = text(
    "collector.pve.server-name", "", "Name that certificates must be for, where it is not the address's."
)
INTERVAL = duration("collector.pve.interval", 15.0, "How often the cluster is read: 3 requests at most.")
TIMEOUT = duration("collector.pve.timeout", 5.0, "What one request may take.")
SCOPE: Setting[str] = Setting(
    "collector.pve.scope",
    "cluster",
    "cluster: everything; node: what is on the node that answers, for agents on every node.",
    _scope,
)
PARTS = (
    "version",
    "permissions",
    "tasks",
    "backup_coverage",
    "qdevice",
    "replication_jobs",
    "subscription",
    "replication",
    "guest_config",
    "backup_tasks",
    "backup_content",
    "backup_log",
)
"""What can be left out: see exporters/vm/parts.py."""


def _parts(given: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in given if name not in PARTS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(PARTS)}")
    return tuple(given)


WITHOUT: Setting[tuple[str, ...]] = Setting(
    "collector.pve.without",
    (),
    f"Part of the API not to ask for, such as one that the token may not read: {', '.join(PARTS)}.",
    _parts,
)
TARGET = text(
    "collector.pve.target",
    "{name}:9100",
    "Scrape target of a guest for service discovery, of {name}, {vmid}, {node}, {type}.",
)
SETTINGS: tuple[Setting[object], ...] = (
    URL,
    TOKEN_FILE,
    CA_FILE,
    FINGERPRINT,
    SERVER_NAME,
    INTERVAL,
    TIMEOUT,
    SCOPE,
    WITHOUT,
    TARGET,
)


def node_address(url: str) -> Address:
    """Where a node's API is; raises SettingError where the text is no address over HTTPS."""
    try:
        found = parse_url(url, {"https": 8006})
    except ValueError as error:
        raise SettingError(f"--{URL.name}: {error}") from error
    if found.path:
        raise SettingError(f"--{URL.name}: not https://HOST:PORT")
    return found


def fingerprint(written: str) -> str:
    """A fingerprint as bare hexadecimal; raises SettingError where it is none of SHA-256."""
    try:
        return parse_fingerprint(written)
    except ValueError as error:
        raise SettingError(f"--{FINGERPRINT.name}: {error}") from error
