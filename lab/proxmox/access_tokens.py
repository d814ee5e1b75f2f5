"""/access/users/{userid}/token (pve-access-control:src/PVE/API2/User.pm).

Create and update echo what was sent, as text; a later read gives numbers.
"""

from __future__ import annotations

import uuid

from lab.proxmox.access_users import USER_ID
from lab.proxmox.accounts import Token, is_true
from lab.proxmox.checks import AnyOf, IsSelf, UserGroups
from lab.proxmox.errors import while_locked, wrong_parameters
from lab.proxmox.formats import TOKEN_NAME, split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, boolean, integer, text

__all__ = ["METHODS"]

_TOKEN_ID = Field(pattern=TOKEN_NAME)
_NAMES = {"userid": USER_ID, "tokenid": _TOKEN_ID}
_FIELDS = {
    **_NAMES,
    "expire": integer(minimum=0),
    "privsep": boolean(),
    "comment": text(optional=True),
}
_OWNER = AnyOf((IsSelf(), UserGroups(("User.Modify",))))


def list_tokens(call: Call) -> object:
    """The tokens of a user."""
    tokens = call.center.accounts.user(call.params["userid"]).tokens
    return [{"tokenid": name, **token.info()} for name, token in tokens.items()]


def read_token(call: Call) -> object:
    """One token; its value cannot be read again."""
    return _find(call).info()


def create_token(call: Call) -> object:
    """Create a token and tell its value, this once."""
    params, accounts = call.params, call.center.accounts
    user, name = accounts.user(params["userid"]), params["tokenid"]
    if name in user.tokens:
        raise wrong_parameters({"tokenid": "Token already exists."})
    token = Token(
        privsep=params.get("privsep", 1),
        expire=params.get("expire"),
        comment=params["comment"] if is_true(params.get("comment")) else None,
    )
    info = token.info()
    user.tokens[name] = token
    full, value = f"{params['userid']}!{name}", str(uuid.uuid4())
    call.center.token_values[full] = value
    accounts.settle()
    return {"info": info, "value": value, "full-tokenid": full}


def update_token(call: Call) -> object:
    """Change what is given; `regenerate` makes a new value and tells it."""
    params = call.params
    token = _find(call)
    with while_locked("updating token info failed"):
        _delete_fields(token, params.get("delete", ""))
        for field in ("privsep", "expire"):
            if field in params:
                setattr(token, field, params[field])
        if is_true(params.get("comment")):
            token.comment = params["comment"]
    answer = token.info()
    if call.flag("regenerate"):
        full, value = f"{params['userid']}!{params['tokenid']}", str(uuid.uuid4())
        call.center.token_values[full] = value
        answer |= {"value": value, "full-tokenid": full}
    call.center.accounts.settle()
    return answer


def _delete_fields(token: Token, listed: str) -> None:
    for name in split_list(listed):
        if name not in {"comment", "expire", "privsep"}:
            raise wrong_parameters({"delete": f"unknown option '{name}'"})
        setattr(token, name, {"comment": None, "expire": 0, "privsep": 1}[name])


def delete_token(call: Call) -> object:
    """Delete a token; its access control entries go with it."""
    _find(call)
    params = call.params
    del call.center.accounts.users[params["userid"]].tokens[params["tokenid"]]
    call.center.token_values.pop(f"{params['userid']}!{params['tokenid']}", None)
    call.center.accounts.settle()
    return None


def _find(call: Call) -> Token:
    return call.center.accounts.token(call.params["userid"], call.params["tokenid"])


METHODS = (
    Method("GET", "/access/users/{userid}/token", list_tokens, {"userid": USER_ID}, _OWNER),
    Method("GET", "/access/users/{userid}/token/{tokenid}", read_token, _NAMES, _OWNER),
    Method("POST", "/access/users/{userid}/token/{tokenid}", create_token, _FIELDS, _OWNER),
    Method(
        "PUT",
        "/access/users/{userid}/token/{tokenid}",
        update_token,
        {**_FIELDS, "delete": text("configid", optional=True, listed=True), "regenerate": boolean()},
        _OWNER,
    ),
    Method("DELETE", "/access/users/{userid}/token/{tokenid}", delete_token, _NAMES, _OWNER),
)
