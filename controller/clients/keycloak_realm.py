"""The settings of a realm: read in two requests side by side, written as read, merged, whole.

The server answers a secret as `**********` and keeps the one that it has where that comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from controller.clients.keycloak_session import KeycloakSender, KeycloakSession, path_part, require
from controller.clients.keycloak_wire import Json, RealmAnswer, merged_realm, new_realm
from controller.errors import NotAllowed, NotThere
from controller.keycloak_settings import (
    ACTIONS,
    MAIL,
    MAIL_PASSWORD,
    action_state,
    action_switches,
    read,
    written,
)
from controller.secret_sources import SecretName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controller.keycloak_settings import Settings
    from controller.keycloak_values import KeycloakRealm, RealmPatch

__all__ = ["RealmReader", "RealmWriter"]

_REQUIRED_ACTIONS = "/authentication/required-actions"


_OTP = "otp."


class RealmReader(KeycloakSession):
    """Reads a realm's settings."""

    def realm(self) -> KeycloakRealm | None:
        """The realm, None where there is no such realm. Raises `NotAllowed` if we see only its name."""
        raw = self._raw_realm()
        return None if raw is None else msgspec.convert(raw, RealmAnswer).value()

    def settings(self) -> Settings | None:
        """Every setting of the realm, None where there is no such realm. Raises `NotAllowed`."""
        raw, actions = self._side_by_side([self._raw_realm, self._raw_actions])
        return None if raw is None else _settings(raw, actions)

    def _raw_realm(self) -> Json | None:
        try:
            raw: Json = self._get(self._base, dict[str, Any])
        except NotThere:
            return None
        if not msgspec.convert(raw, RealmAnswer).is_whole:
            raise NotAllowed(f"the settings of the realm {self._realm} are hidden from us", hint="view-realm")
        return raw

    def _raw_actions(self) -> list[Json]:
        try:
            return self._read(_REQUIRED_ACTIONS, list[dict[str, Any]])
        except NotThere:
            return []


class RealmWriter(KeycloakSender, RealmReader):
    """Writes a realm's settings."""

    def create_realm(self, realm: KeycloakRealm, settings: Settings | None = None) -> None:
        """Create the realm, and take a token that carries rights on it.

        Raises `Conflict` where it exists, `NotThere` for a required action that the server does not know.
        """
        given = _whole(settings or {})
        body = written(new_realm(realm), given, mail_password=self._mail_password(given, {}))
        self._send("POST", "admin/realms", body)
        self._connection.refresh_token()
        self._write_actions(given)

    def update_realm(
        self, patch: RealmPatch, *, still: Callable[[KeycloakRealm], bool] | None = None
    ) -> None:
        """Alter what a patch names of the realm. Raises `NotThere`, `Conflict`."""
        current = self._raw(self._base)
        require(still, lambda: msgspec.convert(current, RealmAnswer).value(), self._realm)
        self._send("PUT", self._base, merged_realm(current, patch))

    def update_settings(self, settings: Settings, *, still: Callable[[Settings], bool] | None = None) -> None:
        """Alter the settings that are given.

        The mail server's password goes with any setting of mail. Raises `NotThere` (also for a required
        action that the server does not know), `Conflict`, and what resolving the password raises.
        """
        current, actions = self._side_by_side([lambda: self._raw(self._base), self._raw_actions])
        require(still, lambda: _settings(current, actions), self._realm)
        if any(not name.startswith(ACTIONS) for name in settings):
            password = self._mail_password(settings, read(current))
            self._send("PUT", self._base, written(current, settings, mail_password=password))
        self._write_actions(settings)

    def _mail_password(self, settings: Settings, current: Settings) -> str | None:
        """The secret where mail is written and a reference is known, else None: the server keeps its own."""
        if not any(name.startswith(MAIL) for name in settings):
            return None
        reference = settings.get(MAIL_PASSWORD, current.get(MAIL_PASSWORD))
        return self._resolve(SecretName.of(str(reference)), "mail") if reference else None

    def _write_actions(self, settings: Settings) -> None:
        wanted = {
            name.removeprefix(ACTIONS): str(state)
            for name, state in settings.items()
            if name.startswith(ACTIONS)
        }
        if not wanted:
            return
        known: Mapping[str, Json] = {action["alias"]: action for action in self._raw_actions()}
        unknown = sorted(wanted.keys() - known.keys())
        if unknown:
            raise NotThere(f"the server knows no required action {unknown[0]}")
        for alias, state in wanted.items():
            if action_state(known[alias]) != state:
                path = f"{self._base}{_REQUIRED_ACTIONS}/{path_part(alias)}"
                self._send("PUT", path, known[alias] | action_switches(state))


def _settings(realm: Json, actions: list[Json]) -> Settings:
    return read(realm) | {f"{ACTIONS}{action['alias']}": action_state(action) for action in actions}


def _whole(settings: Settings) -> Settings:
    """Settings of a realm to be: the server takes its one-time passwords whole, or forgets what is given."""
    if not any(name.startswith(_OTP) for name in settings):
        return settings
    usual = {name: value for name, value in read({}).items() if name.startswith(_OTP)}
    return {**usual, **settings}
