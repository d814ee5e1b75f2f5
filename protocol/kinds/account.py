"""account.ensure, .lock, .remove: one local account."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from protocol.kinds.kind import Kind

__all__ = ["KINDS", "AccountName", "Args"]

AccountName = Annotated[str, Meta(pattern=r"\A[a-z_][a-z0-9_-]{0,31}\Z")]
"""As useradd(8) accepts it."""


class Args(Struct, frozen=True, forbid_unknown_fields=True):
    """The account's name."""

    account: AccountName


KINDS: Final = tuple(
    Kind(f"account.{verb}", Args, family="account", resource_of="account", names={"account": "accounts"})
    for verb in ("ensure", "lock", "remove")
)
