"""The collector of model servers: each asked in a thread of its own at its own pace, served from memory."""

from collections.abc import Callable, Sequence
from operator import is_not

from exporters.ai import litellm, ollama, vllm
from exporters.ai.families import Bounds, Teller, merged
from exporters.ai.fetch import Fetch, address
from exporters.ai.readings import Reading
from exporters.background import Background
from exporters.clients.tls import Trust
from exporters.collector import Collector, Host
from exporters.errors import ExporterError, NoDataError, SettingError
from exporters.samples import Family
from exporters.settings import duration, file_path, switch, texts, whole

_READERS: dict[str, Callable[[Fetch], Reading]] = {
    "ollama": ollama.read,
    "vllm": vllm.read,
    "litellm": litellm.read,
}
_WORDS = {"ollama": "Ollama", "vllm": "vLLM", "litellm": "LiteLLM"}
URLS = {
    service: texts(
        f"collector.ai.{service}-url",
        (),
        f"Address of {words}: plain HTTP on this host, else https://. May be given again for one more.",
    )
    for service, words in _WORDS.items()
}
TOKENS = {
    service: file_path(f"collector.ai.{service}-token-file", None, f"File with the bearer token for {words}.")
    for service, words in _WORDS.items()
}
CA_FILE = file_path("collector.ai.ca-file", None, "Authorities to believe instead of the system's.")
INTERVAL = duration("collector.ai.interval", 15.0, "How often each server is asked.")
TIMEOUT = duration("collector.ai.timeout", 5.0, "What one answer may take.")
MODELS = whole("collector.ai.models", 20, "Models of a server that are told by name.", least=1, most=1000)
USERS = switch("collector.ai.users", default=False, help_text="Tell who asks, where the server knows.")
MOST_USERS = whole("collector.ai.most-users", 20, "Users that are told by name.", least=1, most=1000)
SETTINGS = (*URLS.values(), *TOKENS.values(), CA_FILE, INTERVAL, TIMEOUT, MODELS, USERS, MOST_USERS)

_MOST_SERVERS = 32


class _Server:
    """One server's thread and what it last told."""

    def __init__(self, teller: Teller, background: Background) -> None:
        self.background = background
        self._down = teller.down()

    def families(self) -> Sequence[Family]:
        """The last reading, or that the server is down; nothing before the first reading has ended."""
        try:
            return self.background.collect()
        except ExporterError:
            return () if self.background.age_seconds() is None else self._down


class _Servers:
    """All servers as one collector. What none has told anew is handed out again as it was."""

    def __init__(self, servers: Sequence[_Server]) -> None:
        self._servers = servers
        self._told: list[Sequence[Family]] = []
        self._merged: list[Family] = []

    def collect(self) -> Sequence[Family]:
        if not self._servers:
            raise NoDataError("no model server is named")
        told = [server.families() for server in self._servers]
        if len(told) != len(self._told) or any(map(is_not, told, self._told)):
            self._told, self._merged = told, merged(told)
        if not self._merged:
            raise ExporterError("ai: the first readings are still under way")
        return self._merged

    def close(self) -> None:
        for server in self._servers:
            server.background.close()

    def age_seconds(self) -> float | None:
        ages = [server.background.age_seconds() for server in self._servers]
        return max((age for age in ages if age is not None), default=None)


def build(host: Host) -> Collector:
    """The collector; without an address it has no data.

    Raises:
        SettingError: an address is none, is given twice, or there are too many.
    """
    servers = _Servers(_servers(host))
    return Collector(servers.collect, servers.close, servers.age_seconds)


def _servers(host: Host) -> list[_Server]:
    settings = host.settings
    named = [(service, url) for service in _READERS for url in settings[URLS[service]]]
    if len(named) > _MOST_SERVERS:
        raise SettingError(f"--collector.ai: {len(named)} servers; at most {_MOST_SERVERS}")
    ca_file = settings[CA_FILE]
    if ca_file is not None and not ca_file.is_file():
        raise SettingError(f"--{CA_FILE.name}: {ca_file} is no file")
    trust = Trust(ca_file)
    bounds = Bounds(settings[MODELS], settings[MOST_USERS], settings[USERS])
    servers: dict[tuple[str, str], _Server] = {}
    for service, url in named:
        place = address(URLS[service].name, url)
        label = str(place)
        if (service, label) in servers:
            raise SettingError(f"--{URLS[service].name}: {label} is given twice")
        fetch = Fetch(place, trust, settings[TOKENS[service]], settings[TIMEOUT])
        teller = Teller(service, label, bounds)
        servers[service, label] = _Server(
            teller,
            Background(
                f"ai-{label}",
                _reading(_READERS[service], fetch, teller),
                interval_seconds=settings[INTERVAL],
                # Several servers that hang must not use up the scrape's patience one after the other.
                first_wait_seconds=1.0 / len(named),
            ),
        )
    return list(servers.values())


def _reading(
    read: Callable[[Fetch], Reading], fetch: Fetch, teller: Teller
) -> Callable[[], Sequence[Family]]:
    return lambda: teller.families(read(fetch))
