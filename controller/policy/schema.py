"""The JSON Schema of the language (draft 2020-12) for editors, generated from the types that reading uses."""

from __future__ import annotations

from controller.policy.model import Sections

__all__ = ["schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, object]:
    """The schema of one policy file; names that point into other files it takes as they are."""
    generated = Sections.model_json_schema()
    return {
        "$schema": _DIALECT,
        "title": "Steward policy",
        **{k: v for k, v in generated.items() if k != "title"},
    }
