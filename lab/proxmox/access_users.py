"""/access/users (pve-access-control:src/PVE/API2/User.pm)."""

from __future__ import annotations

from lab.proxmox.accounts import Accounts, User, is_true
from lab.proxmox.checks import AllOf, AnyOf, IsSelf, RealmOfUser, UserGroups
from lab.proxmox.errors import ApiError, while_locked
from lab.proxmox.formats import parse_user_name, split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, boolean, integer, text

__all__ = ["METHODS", "USER_ID"]

USER_ID = text("userid", max_length=64)
_TEXTS = ("firstname", "lastname", "email", "comment", "keys")
_FIELDS = {
    "userid": USER_ID,
    "enable": boolean(),
    "expire": integer(minimum=0),
    "firstname": text(optional=True, max_length=1024),
    "lastname": text(optional=True, max_length=1024),
    "email": text("email-opt", optional=True, max_length=254),
    "comment": text(optional=True, max_length=2048),
    "keys": Field(optional=True, pattern=r"[0-9a-zA-Z!=]{0,4096}"),
    "groups": text("groupid", optional=True, listed=True),
}
_READERS = ("User.Modify", "Sys.Audit")


def _shown(user: User) -> dict[str, object]:
    values = {name: getattr(user, name) for name in ("enable", "expire", *_TEXTS)}
    return {name: value for name, value in values.items() if value is not None}


def list_users(call: Call) -> object:
    """Everybody whom the caller may see, always with the caller."""
    accounts, who = call.center.accounts, call.who
    sees_all = call.rights.check_any(who, "/access/groups", _READERS, quiet=True)
    groups = call.rights.groups_where(who, _READERS)
    visible = {userid for group in groups for userid in accounts.groups[group].users} | {who}
    wanted = call.params.get("enabled")
    rows = []
    for userid, user in sorted(accounts.users.items()):
        if (sees_all or userid in visible) and (wanted is None or is_true(user.enable) == is_true(wanted)):
            rows.append(_row(call, userid, user, full=call.flag("full")))
    return rows


def _row(call: Call, userid: str, user: User, *, full: bool) -> dict[str, object]:
    row = _shown(user)
    if full:
        tokens = [{"tokenid": name, **token.info()} for name, token in sorted(user.tokens.items())]
        row["groups"] = ",".join(call.center.accounts.groups_of(userid))
        row["tokens"] = tokens or None
    realm_type = call.center.realms.type_of(userid.rpartition("@")[2])
    if realm_type is not None:
        row["realm-type"] = realm_type
    row["userid"] = userid
    return row


def read_user(call: Call) -> object:
    """One user with groups and tokens."""
    userid = call.params["userid"]
    user = call.center.accounts.user(userid)
    tokens = {name: token.info() for name, token in user.tokens.items()}
    return {**_shown(user), "groups": call.center.accounts.groups_of(userid), "tokens": tokens or None}


def show_second_factors(call: Call) -> object:
    """The second factors of a user and of their realm; the lab's users have none."""
    userid = call.params["userid"]
    realm = userid.rpartition("@")[2]
    if realm not in call.center.realms.by_name:
        raise ApiError(f"auth domain '{realm}' does not exist\n")
    of_realm = str(call.center.realms.by_name[realm].get("tfa", "")).partition("type=")[2].partition(",")[0]
    shown: dict[str, object] = {"realm": of_realm} if of_realm else {}
    return {**shown, "user": []} if call.flag("multiple") else shown


def list_second_factors(call: Call) -> object:
    """The second factors of everybody, or of one user: the lab's users have none."""
    del call
    return []


def unlock_second_factors(call: Call) -> object:
    """Whether the user was locked out; none of the lab's ever is."""
    del call
    return 0


def create_user(call: Call) -> object:
    """Create; the realm need not exist unless a password is given."""
    params, accounts = call.params, call.center.accounts
    userid = params["userid"]
    name, realm = _parts(userid)
    with while_locked("create user failed"):
        userid = call.center.realms.find_user(userid, accounts.users)
        if userid in accounts.users:
            raise ApiError(f"user '{userid}' already exists\n")
        if "password" in params:
            call.center.passwords.store(call.center.realms, name, realm, params["password"])
        groups = _known_groups(accounts, params.get("groups", ""))
        user = User(enable=params.get("enable", 1), expire=params.get("expire"))
        for field in _TEXTS:
            if is_true(params.get(field)):
                setattr(user, field, params[field])
        accounts.users[userid] = user
        _join(accounts, userid, groups)
        accounts.settle()
    return None


def update_user(call: Call) -> object:
    """Change what is given; `groups` replaces unless `append`."""
    params, accounts = call.params, call.center.accounts
    userid = params["userid"]
    with while_locked("update user failed"):
        user = accounts.user(userid)
        groups = _known_groups(accounts, params.get("groups", ""))
        for name in ("enable", "expire", *_TEXTS):
            if name in params:
                setattr(user, name, params[name])
        if "groups" in params and not call.flag("append"):
            _leave_all(accounts, userid)
        _join(accounts, userid, groups)
        accounts.settle()
    return None


def delete_user(call: Call) -> object:
    """Delete with memberships, entries, tokens and password; root@pam is not told when nobody was there."""
    accounts = call.center.accounts
    userid = call.params["userid"]
    accounts.users.pop(userid, None)
    _leave_all(accounts, userid)
    for entry in [entry for entry in accounts.acl if entry.type == "user" and entry.ugid == userid]:
        del accounts.acl[entry]
    call.center.passwords.forget(userid)
    call.center.forget_tokens(userid)
    accounts.settle()
    return None


def _parts(userid: str) -> tuple[str, str]:
    parsed = parse_user_name(userid)
    if isinstance(parsed, str):
        raise ApiError(parsed)
    return parsed


def _known_groups(accounts: Accounts, listed: str) -> list[str]:
    groups = split_list(listed)
    for group in groups:
        if group not in accounts.groups:
            raise ApiError(f"no such group '{group}'\n")
    return groups


def _join(accounts: Accounts, userid: str, groups: list[str]) -> None:
    for group in groups:
        accounts.groups[group].users.add(userid)


def _leave_all(accounts: Accounts, userid: str) -> None:
    for group in accounts.groups.values():
        group.users.discard(userid)


METHODS = (
    Method("GET", "/access/tfa", list_second_factors, open_to="all"),
    Method(
        "GET",
        "/access/tfa/{userid}",
        list_second_factors,
        {"userid": USER_ID},
        AnyOf((IsSelf(), UserGroups(_READERS))),
    ),
    Method(
        "GET",
        "/access/users/{userid}/tfa",
        show_second_factors,
        {"userid": USER_ID, "multiple": boolean()},
        AnyOf((IsSelf(), UserGroups(_READERS))),
    ),
    Method(
        "PUT",
        "/access/users/{userid}/unlock-tfa",
        unlock_second_factors,
        {"userid": USER_ID},
        UserGroups(("User.Modify",)),
    ),
    Method("GET", "/access/users", list_users, {"enabled": boolean(), "full": boolean()}, open_to="all"),
    Method(
        "POST",
        "/access/users",
        create_user,
        {**_FIELDS, "password": text(optional=True, min_length=8, max_length=64)},
        AllOf((RealmOfUser(), UserGroups(("User.Modify",), "create"))),
    ),
    Method("GET", "/access/users/{userid}", read_user, {"userid": USER_ID}, UserGroups(_READERS)),
    Method(
        "PUT",
        "/access/users/{userid}",
        update_user,
        {**_FIELDS, "append": boolean(requires="groups")},
        UserGroups(("User.Modify",), "update"),
    ),
    Method(
        "DELETE",
        "/access/users/{userid}",
        delete_user,
        {"userid": USER_ID},
        AllOf((RealmOfUser(), UserGroups(("User.Modify",)))),
    ),
)
