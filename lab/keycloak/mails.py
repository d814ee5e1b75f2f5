"""Mail that an administrator has sent to a user; the lab keeps it, and sends none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal
from lab.keycloak.client_checks import is_allowed_redirect
from lab.keycloak.shapes import not_json
from lab.keycloak.things import Mail

if TYPE_CHECKING:
    from lab.keycloak.call import Call

__all__ = ["NO_SENDER", "ROUTES"]

Json = dict[str, Any]
NO_SENDER = (
    "Invalid sender address '{}'. If the address contains UTF-8 characters in the local part please ensure "
    "the SMTP server supports the SMTPUTF8 extension and enable 'Allow UTF-8' in the email realm "
    "configuration."
)
_SUBJECTS = {"execute-actions": "Update Your Account", "verify-email": "Verify email"}


def execute_actions(call: Call) -> None:
    """PUT users/{id}/execute-actions-email: a link that leads through the actions."""
    actions = call.body if call.body is not None else []
    if not isinstance(actions, list):
        raise not_json()
    _send(call, "execute-actions", tuple(str(action) for action in actions))


def verify_email(call: Call) -> None:
    """PUT users/{id}/send-verify-email."""
    _send(call, "verify-email", ("VERIFY_EMAIL",))


def _send(call: Call, kind: str, actions: tuple[str, ...]) -> None:
    user, realm = call.user(), call.realm
    call.require("manage-users")
    if not user.email:
        raise Refusal(400, errorMessage="User email missing")
    if not user.enabled:
        raise Refusal(400, errorMessage="User is disabled")
    lifespan = call.number("lifespan", realm.settings["actionTokenGeneratedByAdminLifespan"])
    client, redirect = _destination(call)
    known = {one["alias"] for one in realm.required_actions if one["enabled"]}
    if not known.issuperset(actions):
        raise Refusal(400, errorMessage="Provided invalid required actions")
    sender = realm.settings["smtpServer"].get("from")
    if not sender:
        what = "execute actions" if kind == "execute-actions" else "verify email"
        text = f"Failed to send {what} email: {NO_SENDER.format('null')}"
        raise Refusal(500, errorMessage=text)
    link = f"{call.url}/realms/{realm.name}/login-actions/action-token?key={call.keycloak.new_id()}"
    mail = Mail(
        realm.name, sender, user.email, _SUBJECTS[kind], actions, client, redirect, lifespan or 0, link
    )
    call.keycloak.mails.append(mail)
    call.record("ACTION", "USER", f"users/{user.id}/{kind}-email")


def _destination(call: Call) -> tuple[str, str]:
    """The client that the link belongs to, and where people go afterwards. Raises `Refusal` 400."""
    name, redirect = call.query.get("client_id"), call.query.get("redirect_uri", "")
    if name is None:
        if redirect:
            raise Refusal(400, errorMessage="Client id missing")
        return "account", ""
    client = call.realm.client_named(name)
    if client is None:
        raise Refusal(400, errorMessage="Client doesn't exist")
    if not client.settings["enabled"]:
        raise Refusal(400, errorMessage="Client is not enabled")
    patterns = client.settings["redirectUris"]
    if redirect and not is_allowed_redirect(redirect, patterns, client.settings.get("rootUrl", "")):
        raise Refusal(400, errorMessage="Invalid redirect uri.")
    return name, redirect


ROUTES = (
    ("PUT", "/users/{user}/execute-actions-email", execute_actions),
    ("PUT", "/users/{user}/send-verify-email", verify_email),
)
