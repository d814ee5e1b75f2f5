"""API tokens of people on Proxmox VE: always separated, so each may do at most what its own entries give.

A token's secret is told once, when it is made, and goes into the file that the policy names; it never stands
anywhere else. A token is made with the mark `steward.unwritten`, which is taken away once the file is
written: so one whose secret nobody has is seen, and made anew. No other token is ever given a new secret.
Ours by the mark in its comment; it needs the account of its person on the cluster.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from controller.errors import Conflict, ControllerError, NotThere, Refused
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.proxmox_values import ProxmoxToken, TokenPatch
from controller.resources.ownership import Rules, compare
from controller.resources.proxmox_clusters import cluster_of
from controller.resources.proxmox_marks import marked, marks_of, text_of
from controller.resources.proxmox_people import people_here
from controller.resources.proxmox_sight import require_users
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from controller.plan.change import Fields, Json
    from controller.plan.plan import Report
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "SeenTokens", "Token", "apply", "desired", "diff", "observe"]

SECTION = "tokens"


@dataclass(frozen=True)
class SecretFile:
    """Where a token's secret is written, as a plan carries it."""

    controller_file: str | None
    controller_env: str | None = None


@dataclass(frozen=True)
class Token:
    """What we manage of a token; None is a field that the policy leaves alone.

    `expire` is the second at which it ends, 0 for never; `unwritten` that nobody has its secret; `secret` the
    file for it, which takes no part in comparing.
    """

    userid: str
    owner: str
    comment: str | None = None
    expire: int | None = None
    separated: bool = True
    unwritten: bool = False
    secret: str = field(default="", compare=False)
    has_account: bool = field(default=True, compare=False)
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {
            "userid": self.userid,
            "owner": self.owner,
            "comment": self.comment or "",
            "expire": self.expire or 0,
            "separated": self.separated,
            "unwritten": self.unwritten,
            **({"secret": {"controller_file": self.secret}} if self.secret else {}),
        }


@dataclass(frozen=True)
class SeenTokens:
    """The tokens of the realm's people, and the people who have an account."""

    tokens: Mapping[str, Token]
    accounts: frozenset[str]


def desired(policy: Policy, context: Context) -> Mapping[str, Token]:
    """The tokens that the policy names, as `jo!ci`; with several clusters each has a file of its own."""
    here = people_here(policy, context)
    suffix = "" if context.only_cluster else f".{cluster_of(context)}"
    found: dict[str, Token] = {}
    for name, person in policy.users.items():
        for token, one in person.proxmox_tokens.items() if person.state != "absent" else ():
            given = one.model_fields_set
            found[f"{name}!{token}"] = Token(
                userid=f"{name}@{context.realm}",
                owner=context.owner,
                comment=text_of(one.comment) if "comment" in given else None,
                expire=_second(one.expires) if "expires" in given else None,
                secret=f"{one.secret.controller_file}{suffix}" if one.secret.controller_file else "",
                has_account=name in here,
                source=policy.at("users", name, "proxmox_tokens", token),
            )
    return found


def observe(client: ProxmoxReader, context: Context) -> SeenTokens:
    """All tokens of people of the realm; the list of users holds them."""
    suffix = f"@{context.realm}"
    users = {userid: user for userid, user in client.users().items() if userid.endswith(suffix)}
    require_users(client.rights(), context)
    tokens = {
        f"{userid.removesuffix(suffix)}!{token.name}": _normal(userid, token)
        for userid, user in users.items()
        for token in user.tokens
    }
    return SeenTokens(tokens, frozenset(userid.removesuffix(suffix) for userid in users))


def diff(observed: SeenTokens, desired: Mapping[str, Token], context: Context) -> Difference:
    """What to make, alter and (as prunes) delete. Who has no account here has no token here either."""
    seen = observed.tokens
    wanted = {
        key: _aligned(token, seen.get(key))
        for key, token in desired.items()
        if token.has_account or key.partition("!")[0] in observed.accounts
    }
    rules = Rules(SECTION, "token", depends_on=lambda key, _after: (f"{context.system}/users/{_owner(key)}",))
    changes, reported = compare(_with_files(seen, wanted), wanted, context, rules)
    reported = [_told(report) for report in reported]
    ours = {key: token for key, token in seen.items() if token.owner == context.owner}
    prunes = [_prune(key, token, context) for key, token in ours.items() if key not in desired]
    return Difference(tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(ours)})


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write one change of a token, where the token is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: ProxmoxWriter, change: Change) -> Outcome:
    name = change.key.partition("!")[2]
    if change.operation is Operation.CREATE and change.after is not None:
        _make(client, name, change.after, _file(client, change.after, may_exist=False))
        return applied(change)
    before = change.before or {}
    userid = str(before["userid"])
    user = client.users().get(userid)
    seen = next((token for token in user.tokens if token.name == name), None) if user else None
    if seen is None:
        raise NotThere(f"the token {userid}!{name} is gone")
    if freeze({**_normal(userid, seen).fields(), **_secret(before)}) != change.before:
        raise Conflict(f"the token {userid}!{name} is not what the plan has seen")
    if change.after is None:
        client.delete_token(userid, name)
    elif before["unwritten"]:
        path = _file(client, change.after, may_exist=True)
        client.delete_token(userid, name)
        _make(client, name, change.after, path)
    else:
        client.update_token(userid, name, _patch(change))
    return applied(change)


def _make(client: ProxmoxWriter, name: str, after: Fields, path: Path) -> None:
    """Make a token, write its secret down, and only then take away the mark that says nobody has it."""
    userid, expire = str(after["userid"]), int(str(after["expire"]))
    marks = {"owner": str(after["owner"])}
    text = str(after["comment"])
    token = ProxmoxToken(name, separated=True, expire=expire, comment=marked(text, **marks, unwritten="yes"))
    secret = client.create_token(userid, token)
    _keep(path, secret)
    client.update_token(userid, name, TokenPatch(comment=marked(text, **marks)))


def _file(client: ProxmoxReader, fields: Fields, *, may_exist: bool) -> Path:
    """The file for the secret, which must be ours to write. Raises Refused, before anything was made."""
    place = fields.get("secret")
    path = client.secret_file(
        SecretFile(str(place["controller_file"]) if isinstance(place, Mapping) else None)
    )
    if path.exists() and not may_exist:
        raise Refused(
            f"{path} exists: a secret is never written over one",
            hint="remove it if its token is gone, or name another file",
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise Refused(f"the folder of {path} is not there or not ours to write in")
    return path


def _keep(path: Path, secret: str) -> None:
    """Write the secret, whole or not at all, for us alone. Raises ControllerError."""
    draft = path.with_name(f".{path.name}.unwritten")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(f"{secret}\n")
            stream.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError as error:
        hint = "the next pass makes the token anew"
        raise ControllerError(f"the secret {path} cannot be written: {error.strerror}", hint=hint) from error


def _secret(fields: Fields) -> dict[str, Json]:
    return {"secret": fields["secret"]} if "secret" in fields else {}


def _patch(change: Change) -> TokenPatch:
    after, changed = change.after or {}, set(change.changed)
    text = marked(str(after["comment"]), owner=str(after["owner"]))
    return TokenPatch(
        separated=bool(after["separated"]) if "separated" in changed else None,
        expire=int(str(after["expire"])) if "expire" in changed else None,
        comment=text if {"comment", "owner"} & changed else None,
    )


def _normal(userid: str, seen: ProxmoxToken) -> Token:
    marks = marks_of(seen.comment)
    return Token(
        userid=userid,
        owner=marks.get("owner", ""),
        comment=text_of(seen.comment),
        expire=seen.expire,
        separated=seen.separated,
        unwritten="unwritten" in marks,
        object_id=f"{userid}!{seen.name}",
    )


def _aligned(wanted: Token, seen: Token | None) -> Token:
    """Fields that the policy leaves alone are desired as they are."""
    current = seen or Token(wanted.userid, owner="", comment="", expire=0)
    return replace(
        wanted,
        comment=current.comment if wanted.comment is None else wanted.comment,
        expire=current.expire if wanted.expire is None else wanted.expire,
    )


def _with_files(seen: Mapping[str, Token], wanted: Mapping[str, Token]) -> dict[str, Token]:
    """What is seen, each with the file that the policy names: where a secret went nobody can see."""
    return {
        key: replace(one, secret=wanted[key].secret) if key in wanted else one for key, one in seen.items()
    }


def _told(report: Report) -> Report:
    if "adopt" not in report.text:
        return report
    text = "token exists and is not ours: nobody can read its secret; name ours otherwise, or delete that one"
    return replace(report, text=text)


def _owner(key: str) -> str:
    return key.partition("!")[0]


def _second(day: date | None) -> int:
    """The end of a day, UTC; 0 for never."""
    return 0 if day is None else int(datetime.combine(day + timedelta(days=1), time(), UTC).timestamp())


def _prune(key: str, token: Token, context: Context) -> Change:
    reason = "token is ours and no longer in the policy"
    return delete(context.system, SECTION, key, token.fields(), reason=reason, object_id=token.object_id)
