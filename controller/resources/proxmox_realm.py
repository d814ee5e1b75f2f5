"""The OpenID realm of Proxmox VE: how people log in there through Keycloak.

It is kept as the client with `proxmox` in the policy says; its name is that of controller.yaml's
`proxmox.NAME.realm`. Ours by the mark in its comment. Realms are the one thing that Proxmox lets us compare
and set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.errors import Conflict, ControllerError, NotAllowed, NotThere
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.plan.plan import Gap, Report
from controller.proxmox_values import ProxmoxOpenId, RealmPatch
from controller.resources.ownership import Rules, compare
from controller.resources.proxmox_marks import marked, owner_of, text_of
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plan.change import Fields, Json
    from controller.policy.model import Policy
    from controller.policy.people import Client
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "Key", "Realm", "SeenRealm", "apply", "desired", "diff", "observe"]

SECTION = "realm"
_BUILT_IN = ("pam", "pve")
_USERNAME_CLAIM = "username"
_OTHER = "another one"


@dataclass(frozen=True)
class Key:
    """Where the secret of the client is, as the policy says."""

    controller_file: str | None = None
    controller_env: str | None = None

    def to_json(self) -> Mapping[str, Json]:
        """As a plan shows it."""
        places = {"controller_file": self.controller_file, "controller_env": self.controller_env}
        return {name: place for name, place in places.items() if place}


@dataclass(frozen=True)
class Realm:
    """What we manage of the realm; None is a field that the policy leaves alone.

    `key` is where the client's secret is: "" for a client without one, `another one` for a secret that is not
    the policy's.
    """

    owner: str
    issuer: str
    client: str
    key: Key | str | None = None
    default: bool | None = None
    comment: str | None = None
    claim: str = _USERNAME_CLAIM
    autocreate: bool = False
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them: of a secret where it is."""
        return {
            "owner": self.owner,
            "issuer": self.issuer,
            "client": self.client,
            "client_key": self.key.to_json() if isinstance(self.key, Key) else self.key,
            "default": bool(self.default),
            "comment": self.comment or "",
            "username_claim": self.claim,
            "autocreate": self.autocreate,
        }


@dataclass(frozen=True)
class SeenRealm:
    """The realm as it is, None where there is none; `read` gives a secret of the policy, `hidden` why not."""

    realm: ProxmoxOpenId | None
    read: Callable[[Key], str]
    hidden: str = ""


def desired(policy: Policy, context: Context) -> Mapping[str, Realm]:
    """The realm, by its name, where a client of the policy asks for it."""
    for name, client in policy.clients.items():
        if client.proxmox is not None:
            return {context.realm: _wanted(name, client, policy, context)}
    return {}


def _wanted(name: str, client: Client, policy: Policy, context: Context) -> Realm:
    login = client.proxmox
    given = login.model_fields_set if login is not None else frozenset()
    key: Key | str | None = "" if client.public else None
    if client.secret is not None:
        key = Key(client.secret.controller_file, client.secret.controller_env)
    return Realm(
        owner=context.owner,
        issuer=context.issuer,
        client=name,
        key=key,
        default=login.default if login is not None and "default" in given else None,
        comment=_one_line(login.comment) if login is not None and "comment" in given else None,
        adopt=client.adopt,
        source=policy.at("clients", name, "proxmox"),
    )


def _one_line(text: str) -> str:
    """What a comment of a realm can hold: Proxmox refuses line feeds there."""
    return " ".join(text_of(text).split())


def observe(client: ProxmoxReader, context: Context) -> SeenRealm:
    """The realm that people log in through."""
    try:
        return SeenRealm(client.realm(context.realm), client.secret)
    except NotAllowed as error:
        return SeenRealm(None, client.secret, str(error))


def diff(observed: SeenRealm, desired: Mapping[str, Realm], context: Context) -> Difference:
    """What to create or alter, or (as a prune) delete."""
    if not desired:
        return Difference(prunes=_left(observed, context))
    (wanted,) = desired.values()
    why = observed.hidden or _impossible(observed.realm, wanted, context)
    if why:
        return Difference(gaps=(Gap(context.system, SECTION, why, is_held=not observed.hidden),))
    try:
        seen = _seen(observed, wanted)
    except ControllerError as error:
        return Difference(gaps=(Gap(context.system, SECTION, f"{wanted.source}: {error}", is_held=True),))
    aligned = _aligned(wanted, seen.get(context.realm))
    changes, reported = compare(seen, {context.realm: aligned}, context, Rules(SECTION, "realm"))
    if aligned.key == "" and wanted.key is None:
        text = f"the client {wanted.client} names no secret, and the realm has none: nobody can log in"
        reported.append(Report(context.system, SECTION, context.realm, text, source=wanted.source))
    return Difference(tuple(changes), (), tuple(reported), {SECTION: len(seen)})


def _seen(observed: SeenRealm, wanted: Realm) -> dict[str, Realm]:
    """The realm as it is, by name. Raises ControllerError where the policy's secret cannot be had."""
    if isinstance(wanted.key, Key):
        observed.read(wanted.key)
    seen = observed.realm
    return {} if seen is None else {seen.name: _normal(seen, wanted, observed.read)}


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write the realm, where it is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: ProxmoxWriter, change: Change) -> Outcome:
    name, after = change.key, change.after
    if change.operation is Operation.CREATE and after is not None:
        client.create_realm(_new(name, after, client))
        return applied(change)
    seen = client.realm(name)
    if seen is None:
        raise NotThere(f"the realm {name} is gone")
    if (
        freeze(_normal(seen, _restored(after or change.before or {}), client.secret).fields())
        != change.before
    ):
        raise Conflict(f"the realm {name} is not what the plan has seen")
    if after is None:
        client.delete_realm(name)
    else:
        client.update_realm(name, _patch(change, after, client), digest=seen.digest)
    return applied(change)


def _impossible(seen: ProxmoxOpenId | None, wanted: Realm, context: Context) -> str:
    """What keeps the realm from being kept as the policy says; "" for nothing."""
    if context.realm in _BUILT_IN:
        return f"people log in through {context.realm} here, which is Proxmox's own: no OpenID realm is kept"
    if not context.issuer:
        return "the realm's issuer is not known: controller.yaml names no Keycloak, or the policy no realm"
    if seen is not None and seen.type != "openid":
        return f"the realm {context.realm} is of type {seen.type}, not openid: it is left alone"
    owner = owner_of(seen.comment) if seen is not None else ""
    is_for_us = owner == context.owner or (not owner and wanted.adopt)
    if seen is not None and is_for_us and seen.username_claim != _USERNAME_CLAIM:
        claim = seen.username_claim or "the subject"
        return (
            f"the realm {context.realm} names people by {claim}, which Proxmox never changes: "
            "delete it (its people stay), and it is made anew"
        )
    return ""


def _left(observed: SeenRealm, context: Context) -> tuple[Change, ...]:
    """A realm of ours that no client of the policy asks for any more."""
    seen = observed.realm
    if seen is None or owner_of(seen.comment) != context.owner or seen.type != "openid":
        return ()
    fields = _normal(seen, None, observed.read).fields()
    reason = "realm is ours, and no client of the policy is for Proxmox any more"
    return (delete(context.system, SECTION, seen.name, fields, reason=reason, object_id=seen.name),)


def _normal(seen: ProxmoxOpenId, wanted: Realm | None, read: Callable[[Key], str]) -> Realm:
    """The realm in our words; its key by comparing it with the secret that the policy names."""
    key: Key | str = _OTHER if seen.client_key else ""
    if wanted is not None and isinstance(wanted.key, Key) and seen.client_key:
        key = wanted.key if read(wanted.key) == seen.client_key else _OTHER
    return Realm(
        owner=owner_of(seen.comment),
        issuer=seen.issuer_url,
        client=seen.client_id,
        key=key,
        default=seen.default,
        comment=text_of(seen.comment),
        claim=seen.username_claim,
        autocreate=seen.autocreate,
        object_id=seen.name,
    )


def _aligned(wanted: Realm, seen: Realm | None) -> Realm:
    """Fields that the policy leaves alone are desired as they are."""
    return replace(
        wanted,
        key=(seen.key if seen else "") if wanted.key is None else wanted.key,
        default=(seen.default if seen else False) if wanted.default is None else wanted.default,
        comment=(seen.comment if seen else "") if wanted.comment is None else wanted.comment,
    )


def _restored(fields: Fields) -> Realm:
    return Realm(
        owner=str(fields["owner"]),
        issuer=str(fields["issuer"]),
        client=str(fields["client"]),
        key=_key(fields),
        default=bool(fields["default"]),
        comment=str(fields["comment"]),
    )


def _key(fields: Fields) -> Key | str:
    shown = fields["client_key"]
    if not isinstance(shown, Mapping):
        return str(shown or "")
    places = {name: str(place) for name, place in shown.items()}
    return Key(places.get("controller_file"), places.get("controller_env"))


def _new(name: str, after: Fields, client: ProxmoxReader) -> ProxmoxOpenId:
    wanted = _restored(after)
    return ProxmoxOpenId(
        name=name,
        issuer_url=wanted.issuer,
        client_id=wanted.client,
        client_key=client.secret(wanted.key) if isinstance(wanted.key, Key) else "",
        username_claim=_USERNAME_CLAIM,
        autocreate=False,
        default=bool(wanted.default),
        comment=marked(wanted.comment or "", owner=wanted.owner),
    )


def _patch(change: Change, after: Fields, client: ProxmoxReader) -> RealmPatch:
    wanted, changed = _restored(after), set(change.changed)
    key = client.secret(wanted.key) if isinstance(wanted.key, Key) else ""
    return RealmPatch(
        issuer_url=wanted.issuer if "issuer" in changed else None,
        client_id=wanted.client if "client" in changed else None,
        client_key=key if "client_key" in changed else None,
        autocreate=False if "autocreate" in changed else None,
        default=bool(wanted.default) if "default" in changed else None,
        comment=marked(wanted.comment or "", owner=wanted.owner) if {"comment", "owner"} & changed else None,
    )
