"""An invitation whose pass is killed at any step: passes that follow never send a second mail."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from controller.errors import Conflict, ControllerError, OutcomeUnknown, TransientError
from controller.keycloak_values import INVITED_ATTRIBUTE, KeycloakUser, UserPatch, attributes_of
from controller.resources.invitations import invite
from controller.resources.people import CLAIMED, DUE, SENT, Invitation

MAIL = {"invitation": Invitation(("UPDATE_PASSWORD",), 600).fields()}


class Killed(BaseException):
    """What a SIGKILL is to the program: nothing after it runs."""


@dataclass
class Server:
    """One account and its mails; dies at the write of number `at`, before or after it took effect."""

    at: int = -1
    took_effect: bool = False
    refuses: ControllerError | None = None
    state: str = DUE
    mails: int = 0
    writes: int = field(default=0)

    def update_user(self, _user_id: str, patch: UserPatch, *, still) -> None:
        if not still(KeycloakUser("jo", attributes=attributes_of({INVITED_ATTRIBUTE: self.state}))):
            raise Conflict("no longer")
        with_effect = self._step()
        if with_effect:
            ((_, (self.state,)),) = patch.attributes
        self._die()

    def send_actions(self, _user_id: str, _actions, **_more) -> None:
        if self._step() and not self.refuses:
            self.mails += 1
        self._die()
        if self.refuses:
            raise self.refuses

    def _step(self) -> bool:
        self.writes += 1
        return self.writes != self.at or self.took_effect

    def _die(self) -> None:
        if self.writes == self.at:
            raise Killed


def passes(server: Server) -> None:
    """Three more passes, as the planner asks: only what is due is sent."""
    server.at, server.refuses = -1, None
    for _ in range(3):
        if server.state == DUE:
            invite(server, "id", MAIL)


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_at_any_step_no_second_mail_goes_out(at, took_effect):
    server = Server(at, took_effect)
    with pytest.raises(Killed):
        invite(server, "id", MAIL)
    passes(server)
    assert server.mails <= 1
    assert (server.mails, server.state) in {(1, SENT), (1, CLAIMED), (0, CLAIMED)}


def test_a_refused_mail_is_sent_later_and_an_unknown_one_never_again():
    refused = Server(refuses=TransientError("no mail server"))
    with pytest.raises(TransientError):
        invite(refused, "id", MAIL)
    passes(refused)
    assert (refused.mails, refused.state) == (1, SENT)
    unknown = Server(refuses=OutcomeUnknown("no answer"))
    with pytest.raises(OutcomeUnknown):
        invite(unknown, "id", MAIL)
    passes(unknown)
    assert (unknown.mails, unknown.state) == (0, CLAIMED)


def test_somebody_who_claimed_it_first_sends_it_alone():
    server = Server(state=CLAIMED)
    with pytest.raises(Conflict):
        invite(server, "id", MAIL)
    assert server.mails == 0
