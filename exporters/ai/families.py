"""steward_ai_*: the readings of model servers as families, bounded in models and people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from exporters.ai.names import Names
from exporters.ai.readings import OTHER, Histogram, Model, Person, Reading, Use
from exporters.samples import Family, Kind, Metric, Number, Row

_SERVER = ("service", "server")
_MODEL = (*_SERVER, "model")
_PERSON = (*_SERVER, "user", "end_user", "team", "key")


def _metric(name: str, words: str, labels: tuple[str, ...], kind: Kind = Kind.GAUGE) -> Metric:
    return Metric(f"steward_ai_{name}", kind, words, labels, is_sparse=bool(kind.suffixes))


_UP = _metric("up", "Whether the model server answers.", _SERVER)
_ENDPOINT = _metric("endpoint_up", "Whether an endpoint of it answers as documented.", (*_SERVER, "endpoint"))
_VERSION = _metric("version_info", "Version of the model server, 1.", (*_SERVER, "version"))
_LOADED = _metric("models_loaded", "Models that are in memory.", _SERVER)
_STORED = _metric("models_stored", "Models on the server's disk.", _SERVER)
_IS_LOADED = _metric("model_loaded", "Whether the model is in memory.", _MODEL)
_GAUGES = {
    "memory_bytes": _metric(
        "model_memory_bytes", "Memory that a loaded model takes, on GPUs or not.", _MODEL
    ),
    "gpu_memory_bytes": _metric("model_gpu_memory_bytes", "Part of its memory that is on GPUs.", _MODEL),
    "stored_bytes": _metric("model_stored_bytes", "Size of the model on the server's disk.", _MODEL),
    "requests_running": _metric("requests_running", "Requests that are worked on now.", _MODEL),
    "requests_waiting": _metric("requests_waiting", "Requests that wait for their turn.", _MODEL),
    "context_tokens": _metric("model_context_tokens", "Tokens of context that it was loaded for.", _MODEL),
    "expiry_timestamp_seconds": _metric(
        "model_expiry_timestamp_seconds", "When an idle model will be unloaded, in unixtime.", _MODEL
    ),
    "cache_usage_ratio": _metric(
        "cache_usage_ratio", "Used share of the key-value cache, of the fullest engine.", _MODEL
    ),
}
_SUMMABLE = frozenset(
    {"memory_bytes", "gpu_memory_bytes", "stored_bytes", "requests_running", "requests_waiting"}
)
"""What can be told of all other models together."""
_OTHERS = Person(OTHER, OTHER, OTHER, OTHER)
_REQUESTS = _metric("requests_total", "Requests that ended, by how.", (*_MODEL, "result"), Kind.COUNTER)
_TOKENS = _metric(
    "tokens_total", "Tokens read (prompt) and written (completion).", (*_MODEL, "kind"), Kind.COUNTER
)
_LATENCY = _metric(
    "request_duration_seconds", "Time from a request to its end.", (*_MODEL, "le"), Kind.HISTOGRAM
)
_FIRST_TOKEN = _metric(
    "time_to_first_token_seconds", "Time from a request to its first token.", (*_MODEL, "le"), Kind.HISTOGRAM
)
_PERSON_REQUESTS = _metric(
    "user_requests_total", "Requests of somebody, by how they ended.", (*_PERSON, "result"), Kind.COUNTER
)
_PERSON_TOKENS = _metric("user_tokens_total", "Tokens of somebody.", (*_PERSON, "kind"), Kind.COUNTER)
_PERSON_SECONDS = _metric(
    "user_request_duration_seconds",
    "Time that somebody's requests took.",
    (*_PERSON, "quantile"),
    Kind.SUMMARY,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many models and people a server is told of by name; `with_people` switches the latter on."""

    models: int = 20
    people: int = 20
    with_people: bool = False


class Teller:
    """Makes families of one server's readings; keeps who has a name."""

    def __init__(self, service: str, server: str, bounds: Bounds) -> None:
        self._row: Row = (service, server)
        self._bounds = bounds
        self._models = Names[str](bounds.models)
        self._people = Names[Person](bounds.people)

    def down(self) -> list[Family]:
        """The server does not answer, and nothing else is known."""
        return [Family(_UP, (self._row,), (0,))]

    def families(self, reading: Reading) -> list[Family]:
        """Everything that the reading tells."""
        row = self._row
        models = self._folded_models(reading.models)
        families = [
            Family(_UP, (row,), (int(reading.is_up),)),
            _family(_ENDPOINT, (((*row, path), int(well)) for path, well in reading.endpoints.items())),
            _family(_VERSION, [((*row, reading.version), 1)] if reading.version else []),
            _family(_LOADED, [] if reading.models_loaded is None else [(row, reading.models_loaded)]),
            _family(_STORED, [] if reading.models_stored is None else [(row, reading.models_stored)]),
            *self._of_models(models),
        ]
        if self._bounds.with_people:
            families += self._of_people(self._folded_people(reading.uses))
        return families

    def _of_models(self, models: Sequence[Model]) -> list[Family]:
        rows = [((*self._row, model.name), model) for model in models]
        return [
            _family(
                _IS_LOADED,
                ((row, int(model.is_loaded)) for row, model in rows if model.is_loaded is not None),
            ),
            *(
                _family(metric, ((row, model.gauges[name]) for row, model in rows if name in model.gauges))
                for name, metric in _GAUGES.items()
            ),
            _family(_REQUESTS, _each(rows, lambda model: model.requests)),
            _family(_TOKENS, _each(rows, lambda model: model.tokens)),
            _histogram(_LATENCY, ((row, model.latency) for row, model in rows)),
            _histogram(_FIRST_TOKEN, ((row, model.first_token) for row, model in rows)),
        ]

    def _of_people(self, uses: Sequence[Use]) -> list[Family]:
        rows = [((*self._row, *_labels(use.person)), use) for use in uses]
        timed: list[tuple[Row, Number]] = []
        for row, use in rows:
            if use.seconds is not None and use.timed_requests is not None:
                timed += [(("_sum", *row, ""), use.seconds), (("_count", *row, ""), use.timed_requests)]
        return [
            _family(_PERSON_REQUESTS, _each(rows, lambda use: use.requests)),
            _family(_PERSON_TOKENS, _each(rows, lambda use: use.tokens)),
            _family(_PERSON_SECONDS, timed),
        ]

    def _folded_models(self, models: Sequence[Model]) -> list[Model]:
        # LiteLLM has an `other` of its own, for names that it does not know.
        known = self._models.known((model.name, model.weight) for model in models if model.name != OTHER)
        named = [model for model in models if model.name in known]
        rest = [model for model in models if model.name not in known]
        return [*named, _other_model(rest)] if rest else named

    def _folded_people(self, uses: Sequence[Use]) -> list[Use]:
        known = self._people.known((use.person, use.weight) for use in uses if use.person != _OTHERS)
        named = [use for use in uses if use.person in known]
        rest = [use for use in uses if use.person not in known]
        return [*named, _other_use(rest)] if rest else named


def merged(servers: Iterable[Sequence[Family]]) -> list[Family]:
    """The families of several servers as one: a metric stands in one group of lines."""
    found: dict[str, Family] = {}
    for families in servers:
        for metric, rows, values in families:
            before = found.get(metric.name)
            if before is None:
                found[metric.name] = Family(metric, rows, values)
            else:
                found[metric.name] = Family(metric, before.rows + rows, [*before.values, *values])
    return list(found.values())


def _family(metric: Metric, series: Iterable[tuple[Row, Number]]) -> Family:
    told = list(series)
    return Family(metric, tuple(row for row, _ in told), [value for _, value in told])


def _each(
    rows: Sequence[tuple[Row, Model]] | Sequence[tuple[Row, Use]], pick: Callable[..., Mapping[str, float]]
) -> list[tuple[Row, Number]]:
    return [((*row, key), value) for row, it in rows for key, value in sorted(pick(it).items())]


def _histogram(metric: Metric, histograms: Iterable[tuple[Row, Histogram | None]]) -> Family:
    series: list[tuple[Row, Number]] = []
    for row, histogram in histograms:
        if histogram is None:
            continue
        finite = sorted(bound for bound in histogram.buckets if bound != inf)
        series += [(("_bucket", *row, str(bound)), histogram.buckets[bound]) for bound in finite]
        series += [
            (("_bucket", *row, "+Inf"), histogram.count),
            (("_sum", *row, ""), histogram.sum),
            (("_count", *row, ""), histogram.count),
        ]
    return _family(metric, series)


def _other_model(models: Sequence[Model]) -> Model:
    other = Model(OTHER)
    for model in models:
        for name, value in model.gauges.items():
            if name in _SUMMABLE:
                other.gauges[name] = other.gauges.get(name, 0) + value
        _add(other.requests, model.requests)
        _add(other.tokens, model.tokens)
        if model.latency is not None:
            other.latency = other.latency or Histogram()
            other.latency.add(model.latency)
        if model.first_token is not None:
            other.first_token = other.first_token or Histogram()
            other.first_token.add(model.first_token)
    return other


def _other_use(uses: Sequence[Use]) -> Use:
    other = Use(_OTHERS)
    for use in uses:
        _add(other.requests, use.requests)
        _add(other.tokens, use.tokens)
        if use.seconds is not None and use.timed_requests is not None:
            other.seconds = (other.seconds or 0.0) + use.seconds
            other.timed_requests = (other.timed_requests or 0.0) + use.timed_requests
    return other


def _add(sums: dict[str, float], more: Mapping[str, float]) -> None:
    for key, value in more.items():
        sums[key] = sums.get(key, 0.0) + value


def _labels(person: Person) -> Row:
    return (person.user, person.end_user, person.team, person.key)
