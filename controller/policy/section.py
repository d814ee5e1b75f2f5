"""The base of every typed part of a policy."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """A typed map: unknown keys are errors, values are never converted silently, nothing can be altered."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
