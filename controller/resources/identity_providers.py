"""Identity providers of a realm: other people's logins. One is ours when its configuration carries our mark.

A field that the policy does not give is left as it is, or made with its default. A client's secret cannot
be compared: it is written when it is made, when its reference changes, and with any other change. They are
behind a right of their own: an account without it does for policies that name no identity provider. Source:
Keycloak Admin REST API, resource "Identity Providers".
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from controller.errors import NotAllowed
from controller.keycloak_login_values import IdentityProvider
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.plan.plan import Gap, Report
from controller.resources.given import Given, given_fields
from controller.resources.ownership import Rules, compare
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended
from controller.secret_sources import named, shown, unshown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields, Json
    from controller.policy.model import Policy
    from controller.policy.realm import IdentityProvider as ProviderPolicy
    from controller.resources.settings_ports import SettingsReader, SettingsWriter

__all__ = ["SECTION", "Provider", "Seen", "apply", "desired", "diff", "observe"]

SECTION = "identity_providers"


@dataclass(frozen=True)
class Provider(Given):
    """An identity provider, seen or wanted."""

    value: IdentityProvider

    @property
    def owner(self) -> str:
        """The ownership mark."""
        return self.value.owner

    @property
    def object_id(self) -> str:
        """The alias: the server addresses identity providers by it."""
        return self.value.alias

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return _shown(self.value)


@dataclass(frozen=True)
class Seen:
    """The identity providers of a realm by alias; `hidden` says why we may not see them, "" where we may."""

    providers: Mapping[str, Provider]
    hidden: str = ""


def desired(policy: Policy, context: Context) -> Mapping[str, Provider]:
    """The identity providers of the policy."""
    providers = policy.realm.identity_providers if policy.realm else {}
    return {
        alias: Provider(
            value=IdentityProvider(alias, owner=context.owner),
            given=_given(wanted) | {"owner": context.owner},
            adopt=wanted.adopt,
            source=policy.at("realm", "identity_providers", alias),
        )
        for alias, wanted in providers.items()
    }


def observe(client: SettingsReader, _context: Context) -> Seen:
    """All identity providers; none in a realm that is not there."""
    if client.realm() is None:
        return Seen({})
    try:
        found = client.identity_providers()
    except NotAllowed as error:
        return Seen({}, hidden=f"our account lacks view-identity-providers: {error}")
    return Seen({provider.alias: Provider(provider) for provider in found})


def diff(observed: Seen, desired: Mapping[str, Provider], context: Context) -> Difference:
    """What to create, alter and (as prunes) delete; providers of others in the way are reported."""
    if observed.hidden:
        return _unseen(observed.hidden, desired, context)
    seen = observed.providers
    held = [gap for alias in desired if (gap := _held(seen.get(alias), desired[alias], context))]
    aligned = {
        alias: _aligned(wanted, seen.get(alias))
        for alias, wanted in desired.items()
        if not _held(seen.get(alias), wanted, context)
    }
    needs = (f"{context.system}/realm/{context.realm}",)
    rules = Rules(SECTION, "identity provider", lambda _key, _after: needs)
    changes, reported = compare(seen, aligned, context, rules)
    ours = {alias: provider for alias, provider in seen.items() if provider.owner == context.owner}
    prunes = [
        delete(
            context.system,
            SECTION,
            alias,
            provider.fields(),
            reason="identity provider carries our mark and is no longer in the policy",
            object_id=alias,
        )
        for alias, provider in ours.items()
        if alias not in desired
    ]
    populations = {SECTION: len(ours)}
    return Difference(tuple(changes), tuple(prunes), tuple(reported), populations, gaps=tuple(held))


def apply(client: SettingsWriter, change: Change) -> Outcome:
    """Write one change of an identity provider, where it is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: SettingsWriter, change: Change) -> Outcome:
    def still(seen: IdentityProvider) -> bool:
        return freeze(_shown(seen)) == change.before

    if change.after is None:
        client.delete_identity_provider(change.key, still=still)
    elif change.operation is Operation.CREATE:
        client.create_identity_provider(_stored(change.key, change.after))
    else:
        client.update_identity_provider(_stored(change.key, change.after), change.changed, still=still)
    return applied(change)


def _unseen(why: str, desired: Mapping[str, Provider], context: Context) -> Difference:
    if desired:
        return Difference(gaps=(Gap(context.system, SECTION, why),))
    text = "are not looked at: the policy names none, and our account lacks view-identity-providers"
    return Difference(reported=(Report(context.system, SECTION, "", text),))


def _held(seen: Provider | None, wanted: Provider, context: Context) -> Gap | None:
    """Keycloak answers a change of the type with 204 and leaves it (26.7.3)."""
    if seen is None or seen.value.type == wanted.given["type"]:
        return None
    if seen.owner != context.owner and not (wanted.adopt and not seen.owner):
        return None
    why = f"{wanted.source}: {seen.value.alias} is of the type {seen.value.type}, which nobody can change"
    return Gap(context.system, SECTION, f"{why}: take another alias, or delete it first", is_held=True)


def _given(wanted: ProviderPolicy) -> dict[str, object]:
    """The fields that stand in the policy; the type decides what the rest means, and always counts."""
    found = given_fields(wanted, without={"adopt", "client_secret"}) | {"type": wanted.type}
    return found | ({"client_secret": named(wanted.client_secret)} if wanted.client_secret else {})


def _aligned(wanted: Provider, seen: Provider | None) -> Provider:
    """A field that the policy leaves alone is desired as it is, or as new ones are."""
    base = wanted.value if seen is None else seen.value
    return replace(wanted, value=replace(base, **wanted.given))  # type: ignore[arg-type]


def _shown(provider: IdentityProvider) -> dict[str, Json]:
    values: dict[str, Json] = {
        one.name: getattr(provider, one.name) for one in fields(provider) if one.name != "alias"
    }
    return values | {"scopes": list(provider.scopes), "client_secret": shown(provider.client_secret)}


def _stored(alias: str, after: Fields) -> IdentityProvider:
    secret, scopes = unshown(after["client_secret"]), tuple(after["scopes"])  # type: ignore[arg-type]
    values = {**after, "scopes": scopes, "client_secret": secret}
    return IdentityProvider(alias, **values)  # type: ignore[arg-type]  # made by `_shown`
