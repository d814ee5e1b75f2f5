"""The admin calls on what the realm records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal, event_answer
from lab.keycloak.call import DEFAULT_PAGE
from lab.keycloak.event_types import EVENT_TYPES
from lab.keycloak.representations import EVENTS
from lab.keycloak.shapes import server_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.keycloak.call import Call
    from lab.keycloak.things import Event

__all__ = ["ROUTES"]

Json = dict[str, Any]
_OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "ACTION"})
_RESOURCES = frozenset(
    [
        "REALM",
        "REALM_ROLE",
        "REALM_ROLE_MAPPING",
        "REALM_SCOPE_MAPPING",
        "AUTH_FLOW",
        "AUTH_EXECUTION_FLOW",
        "AUTH_EXECUTION",
        "AUTHENTICATOR_CONFIG",
        "REQUIRED_ACTION",
        "REQUIRED_ACTION_CONFIG",
        "IDENTITY_PROVIDER",
        "IDENTITY_PROVIDER_MAPPER",
        "PROTOCOL_MAPPER",
        "USER",
        "USER_LOGIN_FAILURE",
        "USER_SESSION",
        "USER_FEDERATION_PROVIDER",
        "USER_FEDERATION_MAPPER",
        "GROUP",
        "GROUP_MEMBERSHIP",
        "CLIENT",
        "CLIENT_INITIAL_ACCESS_MODEL",
        "CLIENT_ROLE",
        "CLIENT_ROLE_MAPPING",
        "CLIENT_SCOPE",
        "CLIENT_SCOPE_MAPPING",
        "CLIENT_SCOPE_CLIENT_MAPPING",
        "CLUSTER_NODE",
        "COMPONENT",
        "AUTHORIZATION_RESOURCE_SERVER",
        "AUTHORIZATION_RESOURCE",
        "AUTHORIZATION_SCOPE",
        "AUTHORIZATION_POLICY",
        "USER_PROFILE",
        "ORGANIZATION",
        "ORGANIZATION_MEMBERSHIP",
        "CUSTOM",
    ]
)
_SETTINGS = ("eventsEnabled", "eventsExpiration", "adminEventsEnabled", "adminEventsDetailsEnabled")


def admin_events(call: Call) -> list[Json]:
    """GET admin-events, the latest first unless asked otherwise."""
    call.require("view-events", "manage-events")
    direction = call.query.get("direction", "desc")
    if direction not in {"asc", "desc"}:
        raise Refusal(400, error="Invalid value for sortDirection, expected value is asc or desc")
    events: Iterable[Event] = call.realm.events if direction == "desc" else reversed(call.realm.events)
    page = call.paged(_read_no_further(call, _matching(call, events)), DEFAULT_PAGE)
    return [event_answer(event, call.keycloak, call.realm) for event in page]


def user_events(call: Call) -> list[Json]:
    """GET events: what people do themselves. Of that the lab records nothing."""
    call.require("view-events", "manage-events")
    _known(call.query.getall("type", []), frozenset(EVENT_TYPES))
    return []


def clear_admin_events(call: Call) -> None:
    """DELETE admin-events."""
    call.require("manage-events")
    call.realm.events.clear()


def get_config(call: Call) -> Json:
    """GET events/config: where no types are chosen, all of them are recorded."""
    call.require("view-events", "manage-events")
    settings = call.realm.settings
    answer: Json = {name: settings[name] for name in _SETTINGS if name in settings}
    if not settings.get("eventsExpiration"):
        answer.pop("eventsExpiration", None)
    answer["eventsListeners"] = settings["eventsListeners"]
    answer["enabledEventTypes"] = settings["enabledEventTypes"] or list(EVENT_TYPES)
    return answer


def put_config(call: Call) -> None:
    """PUT events/config: what is given is altered; users' events and their time are off unless given."""
    call.require("manage-events")
    given = call.given(EVENTS)
    whether = {"eventsEnabled": given.get("eventsEnabled", False)}
    call.realm.settings |= given | whether | {"eventsExpiration": given.get("eventsExpiration", 0)}
    call.record("UPDATE", "REALM", "events/config", of=call.body)


def _matching(call: Call, events: Iterable[Event]) -> Iterator[Event]:
    query = call.query
    operations = _known(query.getall("operationTypes", []), _OPERATIONS)
    resources = _known(query.getall("resourceTypes", []), _RESOURCES)
    pattern, actor = query.get("resourcePath"), query.get("authUser")
    first, last = _instant(call, "dateFrom"), _instant(call, "dateTo", days=1)
    for event in events:
        if (
            (not operations or event.operation in operations)
            and (not resources or event.resource_type in resources)
            and (pattern is None or fnmatchcase(event.resource_path or "", pattern))
            and actor in {None, event.actor}
            and (first is None or event.time_ms >= first)
            and (last is None or event.time_ms <= last)
        ):
            yield event


def _read_no_further(call: Call, events: Iterator[Event]) -> Iterable[Event]:
    """No more than the page asks for, of a record that may be long."""
    first, size = call.number("first", 0) or 0, call.number("max", DEFAULT_PAGE) or 0
    return events if size < 0 else islice(events, max(first, 0) + size)


def _known(given: list[str], known: frozenset[str]) -> frozenset[str]:
    if not known.issuperset(given):
        raise server_error()
    return frozenset(given)


def _instant(call: Call, name: str, *, days: int = 0) -> int | None:
    """An instant in ms; a day means its beginning, or the end of it where `days` is 1."""
    text = call.query.get(name)
    if text is None:
        return None
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        expected = f"Invalid value for '{name}', expected format is yyyy-MM-dd or an Epoch timestamp"
        raise Refusal(400, error=expected) from error
    return int((day + timedelta(days=days)).timestamp() * 1000) - days


ROUTES = (
    ("GET", "/admin-events", admin_events),
    ("DELETE", "/admin-events", clear_admin_events),
    ("GET", "/events", user_events),
    ("GET", "/events/config", get_config),
    ("PUT", "/events/config", put_config),
)
