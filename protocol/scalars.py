"""The scalar types that the documents are made of, with their bounds. All patterns match whole strings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from protocol.canonical import MAX_INTEGER

__all__ = [
    "Count",
    "Hex",
    "Natural",
    "Person",
    "Sha256Hex",
    "ShortText",
    "Time",
    "Ulid",
    "Version",
]

Natural = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Count = Annotated[int, Meta(ge=0, le=1000)]
Version = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
Time = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
"""Seconds since 1970-01-01 UTC."""
Ulid = Annotated[str, Meta(pattern=r"\A[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
"""128 bits in Crockford's base32, upper case (github.com/ulid/spec)."""
Sha256Hex = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Hex = Annotated[str, Meta(pattern=r"\A[0-9a-f]{1,64}\Z")]
Person = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.@+-]*\Z", max_length=64)]
ShortText = Annotated[str, Meta(max_length=4096)]
