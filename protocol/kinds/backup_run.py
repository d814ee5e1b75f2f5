"""backup.run: a set of paths goes into a repository, both by the names that agent.yaml gives them."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from protocol.kinds.kind import Kind, Name

__all__ = ["KIND", "Args", "Result"]

_Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Args(Struct, frozen=True, forbid_unknown_fields=True):
    """Names of a path set and of a repository."""

    set: Name
    repository: Name


class Result(Struct, frozen=True, forbid_unknown_fields=True):
    """The snapshot that was made and its size."""

    snapshot_id: Annotated[str, Meta(pattern=r"\A[0-9a-f]{8,64}\Z")]
    files: _Count
    bytes_processed: _Count
    bytes_added: _Count


KIND: Final = Kind(
    "backup.run",
    Args,
    family="backup",
    resource_of="set",
    names={"set": "sets", "repository": "repositories"},
    result=Result,
)
