"""Ollama: /api/version, /api/ps (loaded models) and /api/tags (models on disk).

https://github.com/ollama/ollama/blob/main/docs/api.md. Ollama counts neither requests nor tokens, so it tells
none.
"""

from collections.abc import Mapping
from datetime import datetime

from exporters.ai.fetch import Fetch
from exporters.ai.json_answers import items, number, parse, text
from exporters.ai.readings import Asking, Model, Reading

_GAUGES = {"size": "memory_bytes", "context_length": "context_tokens"}


def read(fetch: Fetch) -> Reading:
    """What the server tells now."""
    asking = Asking()
    version = asking.ask("/api/version", lambda path: text(parse(fetch.get(path)), "version"))
    if version is None:
        return Reading(asking.endpoints, is_up=False)
    loaded = asking.ask("/api/ps", lambda path: running(fetch.get(path)))
    stored = asking.ask("/api/tags", lambda path: on_disk(fetch.get(path)))
    return Reading(
        asking.endpoints,
        is_up=True,
        version=version,
        models=_joined(loaded, stored or {}),
        models_loaded=None if loaded is None else len(loaded),
        models_stored=None if stored is None else len(stored),
    )


def running(body: bytes) -> dict[str, Model]:
    """The models that are loaded, from /api/ps.

    `size` is all of its memory; `size_vram`, the share on GPUs, is left out where none of it is there.

    Raises:
        SourceError: the answer is not what the documentation says.
    """
    models = {}
    for raw in items(parse(body), "models"):
        model = Model(text(raw, "name"), is_loaded=True)
        for name, gauge in _GAUGES.items():
            if (value := number(raw, name)) is not None:
                model.gauges[gauge] = value
        model.gauges["gpu_memory_bytes"] = number(raw, "size_vram") or 0
        if (expiry := _instant(raw, "expires_at")) is not None:
            model.gauges["expiry_timestamp_seconds"] = expiry
        models[model.name] = model
    return models


def on_disk(body: bytes) -> dict[str, float | None]:
    """The models on disk and their size there, from /api/tags.

    Raises:
        SourceError: the answer is not what the documentation says.
    """
    return {text(raw, "name"): number(raw, "size") for raw in items(parse(body), "models")}


def _joined(loaded: dict[str, Model] | None, stored: dict[str, float | None]) -> tuple[Model, ...]:
    """A model that is not loaded is one only where the server told which ones are."""
    models = dict(loaded or {})
    for name, size in stored.items():
        model = models.setdefault(name, Model(name, is_loaded=None if loaded is None else False))
        if size is not None:
            model.gauges["stored_bytes"] = size
    return tuple(models.values())


def _instant(raw: Mapping[str, object], name: str) -> float | None:
    """A time of RFC 3339 as unixtime; None for Go's zero time, which says never, and for none."""
    value = raw.get(name)
    if not isinstance(value, str):
        return None
    try:
        seconds = datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None
