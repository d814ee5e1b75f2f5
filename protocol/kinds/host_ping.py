"""host.ping: the host answers, and so proves the whole way there and back."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from protocol.kinds.kind import Kind

__all__ = ["KIND", "Args", "Result"]


class Args(Struct, frozen=True, forbid_unknown_fields=True):
    """No arguments."""


class Result(Struct, frozen=True, forbid_unknown_fields=True):
    """Who answered: the kernel's host name and how long it has been up."""

    hostname: Annotated[str, Meta(max_length=253)]
    uptime_seconds: Annotated[int, Meta(ge=0)]


KIND: Final = Kind("host.ping", Args, family="host", result=Result)
