"""vLLM: /version and its own metrics at /metrics.

https://docs.vllm.ai/en/latest/usage/metrics.html. Engines of one server are summed; of their key-value caches
the fullest is told. vLLM does not tell who asks, nor the memory of a model.
"""

from exporters.ai.accounts import Accounts, add, histograms
from exporters.ai.exposition import samples
from exporters.ai.fetch import Fetch
from exporters.ai.json_answers import parse, text
from exporters.ai.readings import UNKNOWN, Asking, Model, Reading

_GAUGES = {
    "vllm:num_requests_running": "requests_running",
    "vllm:num_requests_waiting": "requests_waiting",
}
_CACHES = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
"""The second until 0.9; both are shares of 1, whatever their names say."""
_TOKENS = {"vllm:prompt_tokens_total": "prompt", "vllm:generation_tokens_total": "completion"}
_FINISHED = "vllm:request_success_total"
_RESULTS = {"stop": "success", "length": "success", "abort": "aborted", "error": "failed"}
_LATENCY = "vllm:e2e_request_latency_seconds"
_FIRST_TOKEN = "vllm:time_to_first_token_seconds"  # noqa: S105 - the name of a metric
_WANTED = frozenset(
    {*_GAUGES, *_CACHES, *_TOKENS, _FINISHED}
    | {f"{name}{suffix}" for name in (_LATENCY, _FIRST_TOKEN) for suffix in ("_bucket", "_sum", "_count")}
)


def read(fetch: Fetch) -> Reading:
    """What the server tells now."""
    asking = Asking()
    models = asking.ask("/metrics", lambda path: parse_metrics(fetch.get(path)))
    if models is None:
        return Reading(asking.endpoints, is_up=False)
    version = asking.ask("/version", lambda path: text(parse(fetch.get(path)), "version"))
    return Reading(asking.endpoints, is_up=True, version=version, models=models, models_loaded=len(models))


def parse_metrics(body: bytes) -> tuple[Model, ...]:
    """The models of the server, from /metrics.

    Raises:
        SourceError: it is no text of metrics.
    """
    told = list(samples(body, _WANTED))
    accounts = Accounts()
    for name, labels, value in told:
        model = accounts.model(_model(labels))
        model.is_loaded = True
        if name in _GAUGES:
            add(model.gauges, _GAUGES[name], value)
        elif name in _CACHES:
            model.gauges["cache_usage_ratio"] = max(value, model.gauges.get("cache_usage_ratio", 0.0))
        elif name in _TOKENS:
            add(model.tokens, _TOKENS[name], value)
        elif name == _FINISHED:
            add(model.requests, _RESULTS.get(labels.get("finished_reason", ""), UNKNOWN), value)
    for name, histogram in histograms(told, _LATENCY, _model).items():
        accounts.model(name).latency = histogram
    for name, histogram in histograms(told, _FIRST_TOKEN, _model).items():
        accounts.model(name).first_token = histogram
    return tuple(accounts.models.values())


def _model(labels: dict[str, str]) -> str:
    return labels.get("model_name") or UNKNOWN
