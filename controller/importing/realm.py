"""A realm, its identity providers and its clients in the policy's words. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from controller.importing.saying import OURSELVES, Entries, duration, sayable
from controller.keycloak_login_values import IdentityProvider, OidcClient, is_own_client
from controller.keycloak_passwords import PASSWORDS
from controller.keycloak_settings import MAIL_PASSWORD, PLAIN
from controller.policy.language import fields_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.importing.saying import LeftOut
    from controller.importing.world import KeycloakWorld
    from controller.keycloak_settings import SettingValue

__all__ = ["client_entries", "provider_entries", "realm_entry"]

_SECONDS = "_seconds"
_GUARD = "brute_force"
_OIDC = "openid-connect"
_TYPES = frozenset({"oidc", "google", "github", "gitlab", "microsoft"})
_NEVER_TOLD = frozenset({"alias", "owner", "client_secret"})


def realm_entry(world: KeycloakWorld, roles: Iterable[str], owner: str, left_out: LeftOut) -> dict[str, Any]:
    """The section realm; `roles` are those that the policy names."""
    settings = dict(world.settings)
    if not settings.get(_GUARD):  # naming it turns the protection on
        settings = {name: value for name, value in settings.items() if not name.startswith(_GUARD)}
    _check_passwords(settings, left_out)
    said: dict[str, Any] = {"name": world.name}
    for name, value in settings.items():
        if name in {_GUARD, MAIL_PASSWORD} or value in {None, ""}:
            continue
        if name in PLAIN and name.endswith(_SECONDS) and value == 0:
            continue  # nothing is set: the server takes what holds for all
        _put(said, name, value, left_out)
    default = world.roles.get(world.default_role)
    given = sorted(set(roles) & (default.includes or frozenset() if default else frozenset()))
    if given:
        said["default_roles"] = given
    if world.providers is None:
        left_out.add("realm", "identity_providers", "not seen: our account lacks view-identity-providers")
    providers = provider_entries(world, owner, left_out)
    if providers:
        said["identity_providers"] = providers
    return sayable("realm", said, left_out)


def _check_passwords(settings: dict[str, SettingValue], left_out: LeftOut) -> None:
    """A policy for passwords is said whole or not at all: rules that it does not name would be taken away."""
    names = {name for name in settings if name.startswith(PASSWORDS)}
    known = {f"{PASSWORDS}{name}" for name in fields_at(("realm", "password_policy"))} | {
        f"{PASSWORDS}max_age_seconds"
    }
    unknown = sorted(name.removeprefix(PASSWORDS) for name in names - known)
    if unknown:
        left_out.add("realm", "password_policy", f"the language has no rule {', '.join(unknown)}")
        for name in names:
            del settings[name]


def _put(said: dict[str, Any], name: str, value: SettingValue, left_out: LeftOut) -> None:
    """Put a setting where the policy has it: `sessions.idle_seconds` is sessions.idle."""
    if name.endswith(_SECONDS) and isinstance(value, int):
        name, told = name.removesuffix(_SECONDS), duration(value)
        if told is None:
            left_out.add("realm", name, f"{value} seconds are no length that a policy can say")
            return
        value = told
    holder, _, last = name.partition(".")
    if last:
        said.setdefault(holder, {})[last] = value
    else:
        said[holder] = value


def provider_entries(world: KeycloakWorld, owner: str, left_out: LeftOut) -> Entries:
    """The realm's identity_providers that a policy may name."""
    found: Entries = {}
    for one in sorted(world.providers or (), key=lambda provider: provider.alias):
        if one.type not in _TYPES:
            left_out.add("realm", f"identity_providers.{one.alias}", f"of the type {one.type}")
        elif one.owner not in {"", owner}:
            left_out.add("realm", f"identity_providers.{one.alias}", f"belongs to {one.owner}")
        else:
            found[one.alias] = _given(one, IdentityProvider(""), always=("type", "client_id")) | {
                "adopt": True
            }
    return found


def _given(one: object, usual: object, *, always: Iterable[str] = ()) -> dict[str, Any]:
    """The fields that are not as a new one would have them."""
    return {
        name.name: getattr(one, name.name)
        for name in fields(one)  # type: ignore[arg-type]
        if name.name not in _NEVER_TOLD
        and (name.name in always or getattr(one, name.name) != getattr(usual, name.name))
    }


def client_entries(world: KeycloakWorld, owner: str, left_out: LeftOut) -> Entries:
    """The section clients, without those that Keycloak makes for itself, and the one that we are."""
    found: Entries = {}
    for one in sorted(world.clients, key=lambda client: client.client_id):
        if is_own_client(one.client_id):
            continue
        if one.protocol != _OIDC:
            left_out.add("clients", one.client_id, f"speaks {one.protocol}")
        elif one.id in world.own:
            left_out.add("clients", one.client_id, OURSELVES)
        elif one.owner not in {"", owner}:
            left_out.add("clients", one.client_id, f"belongs to {one.owner}")
        else:
            found[one.client_id] = _client(one, left_out)
    return sayable("clients", found, left_out)


def _client(one: OidcClient, left_out: LeftOut) -> dict[str, Any]:
    said = _given(one, OidcClient(""))
    for name in ("client_id", "id", "protocol", "login", "pkce", "secret"):
        said.pop(name, None)
    if one.redirect and not one.login:
        left_out.add("clients", f"{one.client_id}.redirect", "there are addresses, and nobody logs in for it")
        said.pop("redirect")
    if one.public and not one.pkce:
        left_out.add(
            "clients", f"{one.client_id}.public", "it is public without PKCE, which a policy asks for"
        )
        said.pop("public")
    if one.roles_claim is None:
        left_out.add("clients", f"{one.client_id}.roles_claim", "the mapper of that name was altered")
        said.pop("roles_claim", None)
    return said | {"adopt": True}
