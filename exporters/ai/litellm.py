"""LiteLLM's proxy: /health/liveliness, /health/readiness (version) and its own metrics at /metrics.

https://docs.litellm.ai/docs/proxy/prometheus. The metrics are there where its callback `prometheus` is
configured; a model is called here as those who ask for it call it (`requested_model`). Who asked is told by
user, end user, team and alias of the key, never by the key's hash.
"""

from exporters.ai.accounts import Accounts, add, histograms
from exporters.ai.exposition import Sample, samples
from exporters.ai.fetch import Fetch
from exporters.ai.json_answers import parse, text
from exporters.ai.readings import UNKNOWN, Asking, Person, Reading

_REQUESTS = "litellm_proxy_total_requests_metric_total"
_TOKENS = {
    "litellm_input_tokens_metric_total": "prompt",
    "litellm_output_tokens_metric_total": "completion",
}
_LATENCY = "litellm_request_total_latency_metric"
_FIRST_TOKEN = "litellm_llm_api_time_to_first_token_metric"  # noqa: S105 - the name of a metric
_WANTED = frozenset(
    {_REQUESTS, *_TOKENS}
    | {f"{name}{suffix}" for name in (_LATENCY, _FIRST_TOKEN) for suffix in ("_bucket", "_sum", "_count")}
)
_NOT_TOLD = "None"
"""LiteLLM prints what it does not know as Python does."""
_LONGEST_NAME = 256


def read(fetch: Fetch) -> Reading:
    """What the server tells now."""
    asking = Asking()
    if asking.ask("/health/liveliness", fetch.get) is None:
        return Reading(asking.endpoints, is_up=False)
    version = asking.ask("/health/readiness", lambda path: _version(fetch.get(path)))
    # The proxy redirects from /metrics to the path with a slash at its end.
    accounts = asking.ask("/metrics/", lambda path: parse_metrics(fetch.get(path))) or Accounts()
    return Reading(
        asking.endpoints,
        is_up=True,
        version=version,
        models=tuple(accounts.models.values()),
        uses=tuple(accounts.uses.values()),
    )


def parse_metrics(body: bytes) -> Accounts:
    """What each model did and what each person asked for, from /metrics.

    Raises:
        SourceError: it is no text of metrics.
    """
    told = list(samples(body, _WANTED))
    accounts = Accounts()
    for sample in told:
        _count(sample, accounts)
    for name, histogram in histograms(told, _LATENCY, _model).items():
        accounts.model(name).latency = histogram
    for name, histogram in histograms(told, _FIRST_TOKEN, _model).items():
        accounts.model(name).first_token = histogram
    return accounts


def _version(body: bytes) -> str:
    """Not each release tells it."""
    answer = parse(body)
    return text(answer, "litellm_version") if "litellm_version" in answer else ""


def _count(sample: Sample, accounts: Accounts) -> None:
    name, labels, value = sample
    if name == _REQUESTS:
        result = _result(labels.get("status_code", ""))
        add(accounts.model(_model(labels)).requests, result, value)
        add(accounts.use(_person(labels)).requests, result, value)
    elif name in _TOKENS:
        add(accounts.model(_model(labels)).tokens, _TOKENS[name], value)
        add(accounts.use(_person(labels)).tokens, _TOKENS[name], value)
    elif name == f"{_LATENCY}_sum":
        use = accounts.use(_person(labels))
        use.seconds = (use.seconds or 0.0) + value
    elif name == f"{_LATENCY}_count":
        use = accounts.use(_person(labels))
        use.timed_requests = (use.timed_requests or 0.0) + value


def _model(labels: dict[str, str]) -> str:
    return _told(labels, "requested_model") or _told(labels, "model") or UNKNOWN


def _person(labels: dict[str, str]) -> Person:
    return Person(
        user=_told(labels, "user"),
        end_user=_told(labels, "end_user"),
        team=_told(labels, "team_alias") or _told(labels, "team"),
        key=_told(labels, "api_key_alias"),
    )


def _told(labels: dict[str, str], name: str) -> str:
    value = labels.get(name, "")
    return "" if value == _NOT_TOLD else value[:_LONGEST_NAME]


def _result(status: str) -> str:
    """Success for 2xx; 499 is said where who asked went away (nginx's convention, which LiteLLM follows)."""
    if not status.isdigit():
        return UNKNOWN
    if status == "499":
        return "aborted"
    return "success" if status.startswith("2") else "failed"
