"""/access/ticket, /access/password, index of /access (pve-access-control:src/PVE/API2/AccessControl.pm)."""

from __future__ import annotations

from lab.proxmox.access_users import USER_ID
from lab.proxmox.accounts import ROOT
from lab.proxmox.checks import AllOf, AnyOf, IsSelf, RealmOfUser, UserGroups
from lab.proxmox.errors import ApiError, not_permitted, wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.permissions import normalize_path
from lab.proxmox.schema import boolean, integer, text

__all__ = ["METHODS"]

_AREAS = ("acl", "domains", "groups", "openid", "password", "roles", "tfa", "ticket", "users")


def show_index(call: Call) -> object:
    """The areas under /access."""
    del call
    return [{"subdir": area} for area in _AREAS]


def show_openid_index(call: Call) -> object:
    """What there is for logins through another; the lab logs nobody in so."""
    del call
    return [{"subdir": "auth-url"}, {"subdir": "login"}]


def show_ticket_form(call: Call) -> object:
    """Nothing; upstream has it for formats that draw a login page."""
    del call
    return None


def create_ticket(call: Call) -> object:
    """Log in by password or by a valid ticket. Whatever is wrong, the answer is the same 401."""
    params, center = call.params, call.center
    named = params["username"] + (f"@{params['realm']}" if params.get("realm") else "")
    user = center.realms.find_user(named, center.accounts.users)
    if not center.is_enabled(user) or not _proves(call, user, params["password"]):
        raise _refused()
    answer: dict[str, object] = {"username": user}
    if params.get("path") and params.get("privs"):
        _require_rights(call, user)
    else:
        answer["ticket"] = center.tickets.issue(user, now=center.now())
        answer["CSRFPreventionToken"] = center.tickets.issue_csrf(user, now=center.now())
    answer["cap"] = call.rights.capabilities(user)
    if center.cluster_name and call.rights.check(user, "/", ("Sys.Audit",), quiet=True):
        answer["clustername"] = center.cluster_name
    return answer


def _refused() -> ApiError:
    return ApiError("authentication failure\n", status=401)


def _proves(call: Call, user: str, secret: str) -> bool:
    if "tfa-challenge" in call.params:
        # The lab's users have no second factors: there is no challenge that this could answer.
        return False
    holder = call.center.tickets.user_of(secret, now=call.center.now())
    # root@pam's ticket makes tickets for others, but proves nobody else's rights.
    if holder is not None and (holder == user or (holder == ROOT and "path" not in call.params)):
        return True
    return call.center.passwords.matches(user, secret)


def _require_rights(call: Call, user: str) -> None:
    path = normalize_path(call.params["path"])
    privileges = split_list(call.params["privs"])
    if path is None or not privileges or not call.rights.check(user, path, privileges, quiet=True):
        raise _refused()


def verify_console_ticket(call: Call) -> object:
    """Refuse: the lab opens no consoles, so there is no ticket of one that could be right."""
    del call
    raise _refused()


def change_password(call: Call) -> object:
    """Set a password; everybody but root@pam confirms with the own one."""
    params, center = call.params, call.center
    userid = params["userid"]
    center.accounts.user(userid)
    if userid == ROOT and call.who != ROOT:
        raise not_permitted()
    name, _, realm = userid.rpartition("@")
    if call.who != ROOT:
        _confirm(call)
        if call.who != userid and realm == "pam":
            raise not_permitted()
    center.passwords.store(center.realms, name, realm, params["password"])
    return None


def _confirm(call: Call) -> None:
    own = call.params.get("confirmation-password")
    if own is None:
        raise wrong_parameters({"confirmation-password": "password is required to modify user"})
    realm = call.who.rpartition("@")[2]
    kind = call.center.realms.type_of(realm)
    if kind is None:
        raise ApiError(f"auth domain '{realm}' does not exist\n")
    if kind == "openid":
        raise ApiError("OpenID realm does not allow password verification.\n")
    if not call.center.passwords.has(call.who):
        raise ApiError("no password set\n")
    if not call.center.passwords.matches(call.who, own):
        raise ApiError("invalid credentials\n")


METHODS = (
    Method("GET", "/access", show_index, open_to="all"),
    Method("GET", "/access/openid", show_openid_index, open_to="all"),
    Method("GET", "/access/ticket", show_ticket_form, open_to="world"),
    Method(
        "POST",
        "/access/ticket",
        create_ticket,
        {
            "username": text(max_length=64),
            "realm": text("realm", optional=True, max_length=32),
            "password": text(),
            "otp": text(optional=True),
            "path": text(optional=True, max_length=64, requires="privs"),
            "privs": text("priv", optional=True, max_length=64, listed=True, requires="path"),
            "new-format": boolean(),
            "tfa-challenge": text(optional=True),
        },
        open_to="world",
        token_allowed=False,
    ),
    Method(
        "POST",
        "/access/vncticket",
        verify_console_ticket,
        {
            "authid": text(max_length=64),
            "vncticket": text(),
            "path": text(max_length=64),
            "privs": text("priv", max_length=64, listed=True),
            "port": integer(),
        },
        open_to="world",
    ),
    Method(
        "PUT",
        "/access/password",
        change_password,
        {
            "userid": USER_ID,
            "password": text(min_length=8, max_length=64),
            "confirmation-password": text(optional=True, min_length=5, max_length=64),
        },
        AnyOf((IsSelf(), AllOf((RealmOfUser(), UserGroups(("User.Modify",)))))),
        token_allowed=False,
    ),
)
