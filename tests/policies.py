"""Any policy that Keycloak and Proxmox reconcile, as hypothesis draws it: valid by construction.

Few names, so that examples meet each other: what one policy makes, the next one alters or leaves out. The
guests, storages and nodes are those of `tests.lab_servers.SMALL`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["PROVIDERS", "policies", "text_of"]

PEOPLE = ("ana", "bo.b", "cy", "di-d", "eve")
ROLES = ("viewer", "operator", "auditor", "lead")
TEAMS = ("science", "research", "ml", "ops")
CLIENTS = ("grafana", "portal")
PROVIDERS = ("google", "partner")
PRIVILEGES = ("VM.Audit", "VM.PowerMgmt", "VM.Console", "Datastore.Audit", "Sys.Audit")
_DURATIONS = st.sampled_from(["5m", "90s", "1h", "2d"])
_WORDS = st.sampled_from(["", "of the house", "a <b> & \"c\" 'd'", "être — naïve", "x" * 60])
_SWITCH = st.booleans()


def text_of(policy: dict[str, Any]) -> dict[str, bytes]:
    """The policy as files; JSON is YAML."""
    settings = {"version": 1, "owner": "prod"}
    return {
        "policy.yaml": json.dumps(settings).encode(),
        "all.yaml": json.dumps(policy, ensure_ascii=False).encode(),
    }


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _some(names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(list(names)), unique=True, max_size=3) if names else st.just([])


def _choice(names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(list(names)), unique=True)


def _realm(roles: Sequence[str], secrets: Path) -> st.SearchStrategy[dict[str, Any]]:
    mail = st.fixed_dictionaries(
        {"host": st.just("mail.example.org"), "sender": st.just("sso@example.org")},
        optional={
            "port": st.sampled_from([25, 587]),
            "sender_name": _WORDS,
            "encryption": st.sampled_from(["none", "starttls", "tls"]),
        },
    )
    brute_force = _optional(failures=st.integers(1, 50), lockout=_DURATIONS, permanent=_SWITCH)
    password_policy = _optional(
        length=st.integers(8, 20), digits=st.integers(1, 3), not_username=_SWITCH, history=st.integers(1, 5)
    )
    otp = _optional(
        type=st.sampled_from(["totp", "hotp"]),
        algorithm=st.sampled_from(["SHA1", "SHA256"]),
        digits=st.sampled_from([6, 8]),
        look_around=st.integers(0, 3),
    )
    google = st.fixed_dictionaries(
        {
            "type": st.just("google"),
            "client_id": st.just("id"),
            "client_secret": st.just({"controller_file": str(secrets / "google")}),
        },
        optional={"hosted_domain": st.just("example.org"), "sync": st.sampled_from(["import", "force"])},
    )
    partner = st.fixed_dictionaries(
        {
            "client_id": st.just("steward"),
            "client_secret": st.just({"controller_file": str(secrets / "google")}),
            "issuer": st.just("https://idp.example.org"),
            "authorization_url": st.just("https://idp.example.org/auth"),
            "token_url": st.just("https://idp.example.org/token"),
        },
        optional={"trust_email": _SWITCH, "enabled": _SWITCH},
    )
    return st.fixed_dictionaries(
        {"name": st.just("acme")},
        optional={
            "display_name": _WORDS,
            "default_roles": _some(roles),
            "registration": _SWITCH,
            "verify_email": _SWITCH,
            "reset_password": _SWITCH,
            "login_with_email": _SWITCH,
            "brute_force": brute_force,
            "password_policy": password_policy,
            "otp": otp,
            "sessions": _optional(idle=_DURATIONS, remember_me=_SWITCH, offline_max=_DURATIONS),
            "tokens": _optional(access=_DURATIONS, action_by_admin=_DURATIONS, refresh_once=_SWITCH),
            "mail": mail,
            "events": _optional(logins=_SWITCH, keep=_DURATIONS, admin=_SWITCH, admin_details=_SWITCH),
            "required_actions": st.dictionaries(
                st.sampled_from(["CONFIGURE_TOTP", "VERIFY_EMAIL"]),
                st.sampled_from(["enabled", "default"]),
            ),
            "identity_providers": _optional(google=google, partner=partner),
        },
    )


def _client(*, is_proxmox: bool) -> st.SearchStrategy[dict[str, Any]]:
    redirect = st.sampled_from([["https://grafana.example.org/*"], ["https://a.example.org/cb"]])
    proxmox = {"proxmox": _optional(default=_SWITCH, comment=_WORDS)} if is_proxmox else {}
    return st.fixed_dictionaries(
        {"redirect": redirect},
        optional={
            "name": _WORDS,
            "description": _WORDS,
            "enabled": _SWITCH,
            "web_origins": st.just(["https://a.example.org"]),
            "service_account": st.just(value=True),
            "roles_claim": _SWITCH,
            **proxmox,
        },
    )


@st.composite
def _roles(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in draw(_choice(ROLES)):
        made[name] = draw(
            _optional(
                description=_WORDS,
                includes=_some(tuple(made)),
                proxmox=st.lists(st.sampled_from(PRIVILEGES), unique=True, min_size=1),
            )
        )
    return made


@st.composite
def _teams(draw: st.DrawFn, roles: Sequence[str], people: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in draw(_choice(TEAMS)):
        parents = {"parent": st.sampled_from(list(made))} if made else {}
        made[name] = draw(
            _optional(
                description=_WORDS,
                members=_some(people),
                managers=_some(people),
                roles=_some(roles),
                **parents,
            )
        )
    return made


def _user(name: str, roles: Sequence[str], teams: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    return _optional(
        email=st.sampled_from([f"{name}@example.org", f"{name}@example.net"]),
        email_verified=_SWITCH,
        first_name=st.sampled_from(["", "Ana", "Zoë"]),
        last_name=st.sampled_from(["", "O'Neil", "van der Berg"]),
        roles=_some(roles),
        teams=_some(teams),
        mfa=st.sampled_from(["required", "optional"]),
        state=st.sampled_from(["active", "active", "disabled", "absent"]),
        expires=st.sampled_from(["2025-12-31", "2027-01-31"]),
        required_actions=st.just(["UPDATE_PROFILE"]),
    )


def _assigned(
    roles: Sequence[str], people: Sequence[str], teams: Sequence[str]
) -> st.SearchStrategy[dict[str, Any]]:
    if not roles:
        return st.just({})
    one = st.sampled_from(list(roles))
    users = st.dictionaries(st.sampled_from(list(people)), one) if people else st.just({})
    groups = st.dictionaries(st.sampled_from(list(teams)), one) if teams else st.just({})
    return _optional(users=users, teams=groups)


def _set(assigned: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One set only: what two give the same person differently is a mistake."""
    match = st.sampled_from([{"tags": ["prod"]}, {"name": "*-01"}, {"name": "nobody-*"}])
    return st.builds(lambda match, more: {"match": match, **more}, match, assigned)


@st.composite
def policies(draw: st.DrawFn, secrets: Path) -> dict[str, Any]:
    """A whole policy; references to secrets point into the folder `secrets` (a file `google` in it)."""
    roles = draw(_roles())
    people = draw(_choice(PEOPLE))
    teams = draw(_teams(tuple(roles), people))
    users = {name: draw(_user(name, tuple(roles), tuple(teams))) for name in people}
    for user in users.values():
        if "email" not in user:
            user.pop("email_verified", None)  # what is verified is an address
    named = draw(_choice(CLIENTS))
    proxmox = draw(st.sampled_from([None, *named]))
    clients = {name: draw(_client(is_proxmox=name == proxmox)) for name in named}
    on_proxmox = [name for name, role in roles.items() if role.get("proxmox")]
    present = [name for name in people if users[name].get("state") != "absent"]
    assigned = st.fixed_dictionaries({"assigned": _assigned(on_proxmox, present, tuple(teams))})
    found = {
        "realm": draw(_realm(tuple(roles), secrets)),
        "roles": roles,
        "teams": teams,
        "users": users,
        "clients": clients,
        "machines": draw(_optional(**{"web-01": assigned, "db-01": assigned, "ct-01": assigned})),
        "machine_sets": draw(_optional(fleet=_set(assigned))),
        "pools": draw(_optional(gpu=assigned, lab=assigned)),
        "storages": draw(_optional(local=assigned)),
        "nodes": draw(_optional(pve1=assigned, pve2=assigned)),
    }
    return {section: entries for section, entries in found.items() if entries}
