"""Invitations by mail: sent once, whatever is killed when.

How far one is stands on the account itself (attribute `steward.invited`), so that no store is needed and
every controller sees it: `due` is written in the transaction that creates the account, `claimed` right before
the mail is asked for, `sent` after. A mail that was refused is due again; one of which nobody knows stays
claimed, is reported, and is never sent again by us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import ControllerError, OutcomeUnknown
from controller.keycloak_values import INVITED_ATTRIBUTE, UserPatch
from controller.resources.people import CLAIMED, DUE, SENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields
    from controller.resources.ports import KeycloakWriter

__all__ = ["invite"]


def invite(client: KeycloakWriter, user_id: str, after: Fields) -> None:
    """Send the invitation that `after` holds, if it holds one to send. Raises what the client raises.

    Raises `Conflict` where somebody else has claimed it.
    """
    told = after.get("invitation")
    if told is None or isinstance(told, str):
        return
    _mark(client, user_id, DUE, CLAIMED)
    try:
        _send(client, user_id, told)  # type: ignore[arg-type]  # the fields of an Invitation
    except OutcomeUnknown:
        raise
    except ControllerError:
        _mark(client, user_id, CLAIMED, DUE)
        raise
    _mark(client, user_id, CLAIMED, SENT)


def _send(client: KeycloakWriter, user_id: str, told: Mapping[str, object]) -> None:
    client.send_actions(
        user_id,
        list(told["actions"]),  # type: ignore[call-overload]
        lifespan_seconds=int(str(told["lifespan_seconds"])),
        client_id=str(told["client"]),
        redirect=str(told["redirect"]),
    )


def _mark(client: KeycloakWriter, user_id: str, now: str, then: str) -> None:
    patch = UserPatch(attributes=((INVITED_ATTRIBUTE, (then,)),))
    client.update_user(user_id, patch, still=lambda seen: seen.invited == now)
