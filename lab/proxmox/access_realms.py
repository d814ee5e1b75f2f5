"""/access/domains (pve-access-control:src/PVE/API2/Domains.pm, PVE::SectionConfig)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.proxmox.checks import AllOf, OnPath
from lab.proxmox.errors import ApiError, while_locked, wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, boolean, integer, text
from lab.proxmox.sections import refuse_line_feeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.proxmox.realms import Setting

__all__ = ["METHODS"]

_REALM = text("realm", max_length=32)
_LONG = text(optional=True, max_length=4096)

_URL_SAFE = Field(optional=True, pattern=r"[^\x00-\x1F\x7F <>#\"]*")
_ATTRIBUTES = text("ldap-attribute", optional=True, listed=True)

# Every property of every realm type; which ones a type takes says _OPTIONS.
_PROPERTIES: Mapping[str, Field] = {
    "comment": _LONG,
    "default": boolean(),
    "tfa": text("tfa-config", optional=True, max_length=128),
    "acr-values": _URL_SAFE,
    "audiences": _URL_SAFE,
    "autocreate": boolean(),
    "client-id": text(optional=True, max_length=256),
    "client-key": text(optional=True, max_length=256),
    "groups-autocreate": boolean(),
    "groups-claim": Field(optional=True, pattern=r"(?:[A-Za-z][A-Za-z0-9.\-_]*)", max_length=256),
    "groups-overwrite": boolean(),
    "issuer-url": text(optional=True, max_length=256),
    "prompt": Field(optional=True, pattern=r"(?:none|login|consent|select_account|\S+)"),
    "query-userinfo": boolean(),
    "scopes": text(optional=True),
    "username-claim": text(optional=True),
    "base_dn": text(optional=True, max_length=256),
    "bind_dn": text(optional=True, max_length=256),
    "capath": text(optional=True),
    "case-sensitive": boolean(),
    "cert": text(optional=True),
    "certkey": text(optional=True),
    "domain": Field(optional=True, pattern=r"\S+", max_length=256),
    "filter": text(optional=True, max_length=2048),
    "group_classes": _ATTRIBUTES,
    "group_dn": text(optional=True, max_length=256),
    "group_filter": text(optional=True, max_length=2048),
    "group_name_attr": text("ldap-attribute", optional=True, max_length=256),
    "mode": Field(optional=True, enum=("ldap", "ldaps", "ldap+starttls")),
    "password": text(optional=True),
    "port": integer(minimum=1, maximum=65535),
    "secure": boolean(),
    "server1": text("address", optional=True, max_length=256),
    "server2": text("address", optional=True, max_length=256),
    "sslversion": Field(optional=True, enum=("tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3")),
    "sync-defaults-options": text("realm-sync-options", optional=True),
    "sync_attributes": Field(optional=True, pattern=r"\w+=[^,]+(,\s*\w+=[^,]+)*"),
    "user_attr": Field(optional=True, pattern=r"\S{2,}", max_length=256),
    "user_classes": _ATTRIBUTES,
    "verify": boolean(),
}


@dataclass(frozen=True)
class _RealmType:
    """What a realm type needs, what it takes beside, and what it never changes."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


_EVERY = ("comment", "default")
_DIRECTORY = (
    *("bind_dn", "capath", "case-sensitive", "cert", "certkey", "check-connection", "filter"),
    *("group_classes", "group_dn", "group_filter", "group_name_attr", "mode", "port", "secure", "server2"),
    *("sslversion", "sync-defaults-options", "sync_attributes", "tfa", "user_classes", "verify"),
)
_OPTIONS: Mapping[str, _RealmType] = {
    "ad": _RealmType(("domain", "server1"), (*_EVERY, *_DIRECTORY, "base_dn")),
    "ldap": _RealmType(("base_dn", "server1", "user_attr"), (*_EVERY, *_DIRECTORY)),
    "openid": _RealmType(
        ("client-id", "issuer-url"),
        (
            *_EVERY,
            *("acr-values", "audiences", "autocreate", "client-key", "groups-autocreate", "groups-claim"),
            *("groups-overwrite", "prompt", "query-userinfo", "scopes", "username-claim"),
        ),
        ("username-claim",),
    ),
    "pam": _RealmType((), (*_EVERY, "tfa")),
    "pve": _RealmType((), (*_EVERY, "tfa")),
}
_CREATED = {
    "realm": _REALM,
    "type": Field(enum=tuple(_OPTIONS)),
    **_PROPERTIES,
    "check-connection": boolean(),
}
_UPDATED = {
    "realm": _REALM,
    **{name: field for name, field in _PROPERTIES.items() if name != "username-claim"},
    "check-connection": boolean(),
    "digest": text(optional=True, max_length=64),
    "delete": text("configid", optional=True, listed=True, max_length=4096),
}
_REMOVALS = r"(?:(?:acl|properties|entry);)*(?:acl|properties|entry)|none"
_MANAGE = OnPath("/access/realm", ("Realm.Allocate",))


def list_realms(call: Call) -> object:
    """What the login page shows."""
    shown = []
    for name, settings in call.center.realms.by_name.items():
        row = {
            "realm": name,
            **{key: settings[key] for key in ("type", "comment", "default") if settings.get(key)},
        }
        if settings.get("tfa"):
            row["tfa"] = str(settings["tfa"]).partition("type=")[2].partition(",")[0]
        shown.append(row)
    return shown


def read_realm(call: Call) -> object:
    """One realm; the digest is that of the whole configuration."""
    realms, name = call.center.realms, call.params["realm"]
    if name not in realms.by_name:
        raise ApiError(f"domain '{name}' does not exist\n")
    # Upstream marks this one with the class that answers for it, and forgets to take that away again.
    plugin = {"plugin": "PVE::Auth::PAM"} if name == "pam" else {}
    return {**realms.by_name[name], **plugin, "digest": realms.digest()}


def create_realm(call: Call) -> object:
    """Add a realm of any type that is not built in."""
    realms, params = call.center.realms, dict(call.params)
    name, kind = params.pop("realm"), params["type"]
    params.pop("password", None)
    with while_locked("add auth server failed"):
        if name in realms.by_name:
            raise ApiError(f"domain '{name}' already exists\n")
        if kind in {"pam", "pve"}:
            raise ApiError(f"unable to create builtin type '{kind}'\n")
        _refuse_check_connection(params, kind)
        settings = _checked(kind, params)
        refuse_line_feeds(settings.values())
        for option in _OPTIONS[kind].required:
            if option not in params:
                raise ApiError(f"missing value for required option '{option}'\n")
        _keep_one_default(call, settings)
        realms.by_name[name] = settings
        realms.settle()
    return None


def update_realm(call: Call) -> object:
    """Change what is given; the only compare-and-set of this area is `digest`."""
    realms, params = call.center.realms, dict(call.params)
    with while_locked("update auth server failed"):
        digest = params.pop("digest", "")
        if digest and digest != realms.digest():
            raise ApiError("detected modified configuration - file changed by other user? Try again.\n")
        name = params.pop("realm")
        kind = realms.type_of(name)
        if kind is None:
            raise ApiError(
                "cannot lookup undefined type! at /usr/share/perl5/PVE/API2/Domains.pm line 261.\n"
            )
        _refuse_check_connection(params, kind)
        deleted = split_list(params.pop("delete", ""))
        if not deleted and not params:
            raise ApiError("no options specified\n")
        params.pop("password", None)
        settings = _checked(kind, params)
        refuse_line_feeds(settings.values())
        for option in deleted:
            realms.by_name[name].pop(option, None)
        _keep_one_default(call, settings)
        realms.by_name[name].update(settings)
        realms.settle()
    return None


def _settled_sync_options(text_of_options: str) -> str:
    """The options in order, the two deprecated ones as what they mean."""
    options = dict(part.strip().partition("=")[::2] for part in text_of_options.split(",") if part.strip())
    is_on = {name: options.pop(name, "0").lower() in {"1", "on", "yes", "true"} for name in ("full", "purge")}
    if "enable-new" in options:
        options["enable-new"] = str(int(options["enable-new"].lower() in {"1", "on", "yes", "true"}))
    if "remove-vanished" not in options and any(is_on.values()):
        removed = [*(["entry", "properties"] if is_on["full"] else []), *(["acl"] if is_on["purge"] else [])]
        options["remove-vanished"] = ";".join(removed)
    return ",".join(f"{name}={value}" for name, value in sorted(options.items()))


def delete_realm(call: Call) -> object:
    """Remove a realm; its users stay. Built-in realms come back at once."""
    realms, name = call.center.realms, call.params["realm"]
    with while_locked("delete auth server failed"):
        if name not in realms.by_name:
            raise ApiError(f"authentication domain '{name}' does not exist\n")
        del realms.by_name[name]
        realms.settle()
    return None


def synchronise_realm(call: Call) -> object:
    """Fetch users and groups of a directory in a task; the lab has no directory, so the task says that."""
    name, now = call.params["realm"], call.center.now()
    kind = call.center.realms.type_of(name)
    if kind is None:
        raise wrong_parameters({"realm": "Realm does not exist."})
    if kind not in {"ldap", "ad"}:
        raise ApiError(f"Cannot sync realm type '{kind}'! Only LDAP/AD realms can be synced.\n")
    if "scope" not in call.params:
        missing = "Not passed as parameter and not defined in realm default sync options."
        raise wrong_parameters({"scope": missing})

    def unreachable() -> list[str]:
        raise ApiError(f"{call.center.realms.by_name[name]['server1']}: connect: Connection refused\n")

    return call.center.tasks.start(
        "auth-realm-sync-test" if call.flag("dry-run") else "auth-realm-sync",
        node=call.center.local_node,
        identifier=name,
        who=call.who,
        now=now,
        ends_at=now,
        outcome=unreachable,
    ).upid


def _refuse_check_connection(params: dict[str, str], kind: str) -> None:
    if params.pop("check-connection", None) is not None and kind not in {"ad", "ldap"}:
        raise ApiError("'check-connection' parameter can only be set for realms of type 'ldap' or 'ad'\n")


def _checked(kind: str, params: Mapping[str, str]) -> dict[str, Setting]:
    known = {*_OPTIONS[kind].required, *_OPTIONS[kind].optional}
    settings: dict[str, Setting] = {}
    for name, value in params.items():
        if name == "type":
            settings[name] = value
            continue
        if name not in known:
            raise ApiError(f"unexpected property '{name}'\n")
        if name == "sync-defaults-options":
            settings[name] = _settled_sync_options(value)
            continue
        settings[name] = int(value) if _PROPERTIES[name].kind in {"boolean", "integer"} else value
    return settings


def _keep_one_default(call: Call, settings: Mapping[str, Setting]) -> None:
    if settings.get("default"):
        for other in call.center.realms.by_name.values():
            other.pop("default", None)


METHODS = (
    Method("GET", "/access/domains", list_realms, open_to="world"),
    Method("POST", "/access/domains", create_realm, _CREATED, _MANAGE),
    Method(
        "GET",
        "/access/domains/{realm}",
        read_realm,
        {"realm": _REALM},
        replace(_MANAGE, privileges=("Realm.Allocate", "Sys.Audit"), any_of=True),
    ),
    Method("PUT", "/access/domains/{realm}", update_realm, _UPDATED, _MANAGE),
    Method(
        "POST",
        "/access/domains/{realm}/sync",
        synchronise_realm,
        {
            "realm": _REALM,
            "scope": Field(optional=True, enum=("users", "groups", "both")),
            "remove-vanished": Field(optional=True, pattern=_REMOVALS),
            "enable-new": boolean(),
            "dry-run": boolean(),
            "full": boolean(),
            "purge": boolean(),
        },
        AllOf(
            (
                OnPath("/access/realm/{realm}", ("Realm.AllocateUser",)),
                OnPath("/access/groups", ("User.Modify",)),
            )
        ),
    ),
    Method("DELETE", "/access/domains/{realm}", delete_realm, {"realm": _REALM}, _MANAGE),
)
