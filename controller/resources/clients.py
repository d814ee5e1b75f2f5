"""OpenID clients of a realm: programs that people log in to. One is ours when it carries our mark.

A field that the policy does not give is left as it is, or made with its default. Addresses to come back to
mean that people log in for this client; a public one is asked for PKCE. Keycloak's own clients are never
touched, whatever a policy says. Source: Keycloak Admin REST API, resource "Clients".
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from controller.keycloak_login_values import OidcClient, is_own_client
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.plan.plan import Report
from controller.resources.given import Given, given_fields
from controller.resources.ownership import Rules, compare
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended
from controller.secret_sources import named, shown, unshown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields, Json
    from controller.policy.model import Policy
    from controller.policy.people import Client as ClientPolicy
    from controller.resources.settings_ports import SettingsReader, SettingsWriter

__all__ = ["SECTION", "Client", "apply", "desired", "diff", "observe"]

SECTION = "clients"

_OIDC = "openid-connect"
_LISTS = ("redirect", "post_logout", "web_origins")
_UNSHOWN = ("client_id", "id", "protocol")


@dataclass(frozen=True)
class Client(Given):
    """A client, seen or wanted."""

    value: OidcClient

    @property
    def owner(self) -> str:
        """The ownership mark."""
        return self.value.owner

    @property
    def object_id(self) -> str:
        """The server's id; "" where there is none yet."""
        return self.value.id

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return _shown(self.value)


def desired(policy: Policy, context: Context) -> Mapping[str, Client]:
    """The clients of the policy."""
    return {
        name: Client(
            value=OidcClient(name, owner=context.owner, login=False),
            given=_given(wanted) | {"owner": context.owner},
            adopt=wanted.adopt,
            source=policy.at(SECTION, name),
        )
        for name, wanted in policy.clients.items()
    }


def observe(client: SettingsReader, _context: Context) -> Mapping[str, Client]:
    """All clients; none in a realm that is not there."""
    if client.realm() is None:
        return {}
    return {seen.client_id: Client(seen) for seen in client.clients()}


def diff(observed: Mapping[str, Client], desired: Mapping[str, Client], context: Context) -> Difference:
    """What to create, alter and (as prunes) delete; clients that are not to be touched are reported."""
    barred = [
        Report(context.system, SECTION, name, why, source=wanted.source)
        for name, wanted in desired.items()
        if (why := _why_barred(name, observed.get(name)))
    ]
    barred_names = {report.key for report in barred}
    aligned = {
        name: _aligned(wanted, observed.get(name))
        for name, wanted in desired.items()
        if name not in barred_names
    }
    needs = (f"{context.system}/realm/{context.realm}",)
    changes, reported = compare(observed, aligned, context, Rules(SECTION, "client", lambda *_: needs))
    ours = {
        name: seen
        for name, seen in observed.items()
        if seen.owner == context.owner and not _why_barred(name, seen)
    }
    prunes = [
        delete(
            context.system,
            SECTION,
            name,
            seen.fields(),
            reason="client carries our mark and is no longer in the policy",
            object_id=seen.object_id,
        )
        for name, seen in ours.items()
        if name not in desired
    ]
    return Difference(tuple(changes), tuple(prunes), (*barred, *reported), {SECTION: len(ours)})


def apply(client: SettingsWriter, change: Change) -> Outcome:
    """Write one change of a client, where it is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: SettingsWriter, change: Change) -> Outcome:
    def still(seen: OidcClient) -> bool:
        return freeze(_shown(seen)) == change.before

    if change.after is None:
        client.delete_client(change.object_id, still=still)
    elif change.operation is Operation.CREATE:
        client.create_client(_stored(change, change.after))
    else:
        client.update_client(_stored(change, change.after), change.changed, still=still)
    return applied(change)


def _why_barred(name: str, seen: Client | None) -> str:
    if is_own_client(name):
        return "is a client of Keycloak's own, which is never touched"
    if seen is not None and seen.value.protocol != _OIDC:
        return f"speaks {seen.value.protocol}, and no policy describes such a client"
    return ""


def _given(wanted: ClientPolicy) -> dict[str, object]:
    """The fields that stand in the policy, and what follows from them."""
    found = given_fields(wanted, without={"adopt", "proxmox", "secret"})
    found |= {name: tuple(sorted(set(getattr(wanted, name)))) for name in _LISTS if name in found}
    if "redirect" in found:
        found["login"] = bool(found["redirect"])
    if found.get("public"):
        found["pkce"] = True
    return found | ({"secret": named(wanted.secret)} if wanted.secret else {})


def _aligned(wanted: Client, seen: Client | None) -> Client:
    """A field that the policy leaves alone is desired as it is, or as new ones are."""
    base = wanted.value if seen is None else seen.value
    return replace(wanted, value=replace(base, **wanted.given))  # type: ignore[arg-type]


def _shown(client: OidcClient) -> dict[str, Json]:
    values: dict[str, Json] = {
        one.name: getattr(client, one.name) for one in fields(client) if one.name not in _UNSHOWN
    }
    return values | {"secret": shown(client.secret), **{name: list(getattr(client, name)) for name in _LISTS}}


def _stored(change: Change, after: Fields) -> OidcClient:
    lists = {name: tuple(after[name]) for name in _LISTS}  # type: ignore[arg-type]
    values = {**after, **lists, "secret": unshown(after["secret"])}
    return OidcClient(change.key, change.object_id, **values)  # type: ignore[arg-type]  # made by `_shown`
