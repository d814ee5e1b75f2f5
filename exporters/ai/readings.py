"""What is told of a model server, whichever it is. What a server does not tell is None or not there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from exporters.errors import ExporterError

T = TypeVar("T")

OTHER = "other"
UNKNOWN = "unknown"


@dataclass(slots=True)
class Histogram:
    """Observations in cumulative buckets by their upper bound, as Prometheus has them."""

    buckets: dict[float, float] = field(default_factory=dict)
    sum: float = 0.0
    count: float = 0.0

    def add(self, other: "Histogram") -> None:
        """Count the observations of another; of the buckets stay those that both have."""
        if self.count == 0 and not self.buckets:
            self.buckets = dict(other.buckets)
        else:
            common = self.buckets.keys() & other.buckets.keys()
            self.buckets = {bound: self.buckets[bound] + other.buckets[bound] for bound in sorted(common)}
        self.sum += other.sum
        self.count += other.count


@dataclass(slots=True)
class Model:
    """A model: how it stands (`gauges`, by name), and what it did since its server started."""

    name: str
    is_loaded: bool | None = None
    gauges: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    latency: Histogram | None = None
    first_token: Histogram | None = None

    @property
    def weight(self) -> float:
        """How much it did, for who is told by name."""
        return sum(self.requests.values()) + sum(self.tokens.values())


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: as the proxy knows them by user, end user, team and name of the key; empty is not told."""

    user: str
    end_user: str
    team: str
    key: str


@dataclass(slots=True)
class Use:
    """What somebody asked for since the server started."""

    person: Person
    requests: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    timed_requests: float | None = None

    @property
    def weight(self) -> float:
        """How much it was, for who is told by name."""
        return sum(self.requests.values()) + sum(self.tokens.values())


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server told: whether each endpoint answered as it should, its version, models and users."""

    endpoints: Mapping[str, bool]
    is_up: bool
    version: str | None = None
    models: tuple[Model, ...] = ()
    models_loaded: int | None = None
    models_stored: int | None = None
    uses: tuple[Use, ...] = ()


class Asking:
    """Asks endpoint after endpoint: one that fails costs itself and is noted."""

    def __init__(self) -> None:
        self.endpoints: dict[str, bool] = {}

    def ask(self, path: str, answer: Callable[[str], T]) -> T | None:
        """What `answer` makes of the endpoint's answer; None where it went wrong."""
        try:
            heard = answer(path)
        except ExporterError:
            self.endpoints[path] = False
            return None
        self.endpoints[path] = True
        return heard
