"""The Keycloak realm: that it exists, and those of its settings that the policy gives.

A policy names its realm outright, so the realm needs no adoption: what the policy does not give stays as
it is. Three parts are said whole where they are given at all: `brute_force` turns the protection on, rules
that `password_policy` does not name do not hold, and `mail` is the whole mail server. A realm is never
deleted. One that we create records its admin events, so that every later write can be proved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from controller.keycloak_passwords import PASSWORDS
from controller.keycloak_settings import ACTIONS, MAIL, MAIL_PASSWORD, PLAIN
from controller.keycloak_values import KeycloakRealm
from controller.plan.change import Change, Operation, Outcome, create, freeze, update
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended
from controller.secret_sources import named, shown, unshown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.keycloak_settings import Settings, SettingValue
    from controller.plan.change import Fields, Json
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.policy.realm import Mail
    from controller.policy.realm import Realm as RealmPolicy
    from controller.policy.section import Section
    from controller.resources.settings_ports import SettingsReader, SettingsWriter

__all__ = ["SECTION", "Realm", "apply", "desired", "diff", "observe"]

SECTION = "realm"

_SECONDS = "_seconds"
_GUARD = "brute_force"
_ADMIN_EVENTS = "events.admin"
_NOTHING = frozenset({None, ""})

Given: TypeAlias = "dict[str, SettingValue]"


@dataclass(frozen=True)
class Realm:
    """What we manage of a realm: its settings by name; one that is not there is left alone.

    `says_passwords` is true where rules for passwords that are not among the settings do not hold.
    """

    name: str
    settings: Settings
    says_passwords: bool = False
    source: SourcePosition | None = field(default=None, compare=False)


def desired(policy: Policy, _context: Context) -> Mapping[str, Realm]:
    """The realm that the policy names."""
    wanted = policy.realm
    if wanted is None:
        return {}
    realm = Realm(
        name=wanted.name,
        settings=_given(wanted),
        says_passwords=wanted.password_policy is not None,
        source=policy.at(SECTION, "name"),
    )
    return {realm.name: realm}


def observe(client: SettingsReader, _context: Context) -> Mapping[str, Realm]:
    """The realm as it stands; nothing where there is none."""
    seen = client.settings()
    return {} if seen is None else {client.realm_name: Realm(client.realm_name, seen)}


def diff(observed: Mapping[str, Realm], desired: Mapping[str, Realm], context: Context) -> Difference:
    """Creation where the realm is absent, else an update of the given settings that differ."""
    changes: list[Change] = []
    for name, wanted in desired.items():
        seen = observed.get(name)
        if seen is None:
            made = _shown({key: value for key, value in wanted.settings.items() if value is not None})
            reason = "realm is in the policy and not there"
            changes.append(create(context.system, SECTION, name, made, reason=reason, source=wanted.source))
            continue
        before, after = _sides(seen, wanted)
        differing = sorted(key for key in after if before[key] != after[key])
        if differing:
            reason = f"realm differs in {', '.join(differing)}"
            changes.append(
                update(context.system, SECTION, name, before, after, reason=reason, source=wanted.source)
            )
    return Difference(changes=tuple(changes))


def apply(client: SettingsWriter, change: Change) -> Outcome:
    """Create the realm, or set its fields where they are still as they were when the plan was made."""
    return ended(change, lambda: _write(client, change))


def _write(client: SettingsWriter, change: Change) -> Outcome:
    after = _meant(change.after or {})
    if change.operation is Operation.CREATE:
        records = bool(after.get(_ADMIN_EVENTS, True))
        client.create_realm(KeycloakRealm(name=change.key, admin_events=records), after)
        return applied(change)
    before = change.before or {}

    def still(seen: Settings) -> bool:
        now = freeze(_shown(seen))
        return all(now.get(name) == value for name, value in before.items())

    client.update_settings({name: after[name] for name in change.changed}, still=still)
    return applied(change)


def _sides(seen: Realm, wanted: Realm) -> tuple[Fields, Fields]:
    """What was seen and what is wanted of the settings that the policy speaks of; rules that hold on neither
    side, and texts that stand on neither, are left out.
    """
    after = dict(wanted.settings)
    if wanted.says_passwords:
        after |= {name: None for name in seen.settings if name.startswith(PASSWORDS) and name not in after}
    before = {name: seen.settings.get(name) for name in after}
    told = [name for name in after if not {after[name], before[name]} <= _NOTHING]
    return _shown({name: before[name] for name in told}), _shown({name: after[name] for name in told})


def _shown(settings: Settings) -> dict[str, Json]:
    """Settings as a plan shows them."""
    fields: dict[str, Json] = dict(settings)
    if MAIL_PASSWORD in fields:
        fields[MAIL_PASSWORD] = shown(str(settings[MAIL_PASSWORD] or ""))
    return fields


def _meant(fields: Fields) -> Settings:
    """The settings that `_shown` made fields of."""
    settings: Given = dict(fields)  # type: ignore[arg-type]
    if MAIL_PASSWORD in settings:
        settings[MAIL_PASSWORD] = unshown(fields[MAIL_PASSWORD]) or None
    return settings


def _given(realm: RealmPolicy) -> Given:
    """The settings that stand in the policy."""
    found: Given = {}
    for name in PLAIN:
        part, _, rest = name.removesuffix(_SECONDS).rpartition(".")
        holder: Section | None = getattr(realm, part) if part else realm
        if name == _GUARD:
            if realm.brute_force is not None:
                found[name] = True
        elif holder is not None and rest in holder.model_fields_set and getattr(holder, rest) is not None:
            found[name] = _value(getattr(holder, rest))
    if realm.password_policy is not None:
        found |= _rules(realm.password_policy)
    if realm.mail is not None:
        found |= _mail(realm.mail)
    return found | {f"{ACTIONS}{alias}": state for alias, state in realm.required_actions.items()}


def _rules(passwords: Section) -> Given:
    found: Given = {}
    for name in type(passwords).model_fields:
        value = getattr(passwords, name)
        suffix = _SECONDS if name == "max_age" else ""
        found[f"{PASSWORDS}{name}{suffix}"] = None if value is False else _value(value)
    return found


def _mail(mail: Mail) -> Given:
    found = {
        f"{MAIL}{name}": _value(getattr(mail, name)) for name in type(mail).model_fields if name != "password"
    }
    return found | ({MAIL_PASSWORD: named(mail.password)} if mail.password else {})


def _value(given: object) -> SettingValue:
    """As settings are kept: lengths of time in seconds."""
    if isinstance(given, timedelta):
        return int(given.total_seconds())
    return given if isinstance(given, bool | int | str) else None
