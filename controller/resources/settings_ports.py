"""The Keycloak client as the resources about settings see it: realm, identity providers, clients.

Methods raise ControllerError's family only; writes that name a secret also what resolving it raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from controller.keycloak_login_values import IdentityProvider, OidcClient
    from controller.keycloak_settings import Settings
    from controller.keycloak_values import KeycloakRealm

__all__ = ["SettingsReader", "SettingsWriter"]


class SettingsReader(Protocol):
    """One realm, read only. Lists are read whole, or Unobserved is raised."""

    @property
    def realm_name(self) -> str:
        """The realm that this client speaks of."""
        ...

    def realm(self) -> KeycloakRealm | None:
        """The realm, None where there is no such realm."""
        ...

    def settings(self) -> Settings | None:
        """Every setting of the realm, None where there is no such realm."""
        ...

    def identity_providers(self) -> tuple[IdentityProvider, ...]:
        """All identity providers."""
        ...

    def clients(self) -> tuple[OidcClient, ...]:
        """All clients, whatever their protocol."""
        ...


class SettingsWriter(SettingsReader, Protocol):
    """One realm, with the writes that apply makes."""

    def create_realm(self, realm: KeycloakRealm, settings: Settings | None = None) -> None:
        """Create the realm; later calls carry rights on it. Raises Conflict."""
        ...

    def update_settings(self, settings: Settings, *, still: Callable[[Settings], bool] | None = None) -> None:
        """Alter the settings that are given. Raises NotThere, Conflict."""
        ...

    def create_identity_provider(self, provider: IdentityProvider) -> None:
        """Create an identity provider. Raises Conflict."""
        ...

    def update_identity_provider(
        self,
        provider: IdentityProvider,
        names: Collection[str],
        *,
        still: Callable[[IdentityProvider], bool] | None = None,
    ) -> None:
        """Alter fields of an identity provider. Raises NotThere, Conflict."""
        ...

    def delete_identity_provider(
        self, alias: str, *, still: Callable[[IdentityProvider], bool] | None = None
    ) -> None:
        """Delete an identity provider. Raises NotThere, Conflict."""
        ...

    def create_client(self, client: OidcClient) -> None:
        """Create a client. Raises Conflict."""
        ...

    def update_client(
        self,
        client: OidcClient,
        names: Collection[str],
        *,
        still: Callable[[OidcClient], bool] | None = None,
    ) -> None:
        """Alter fields of a client. Raises NotThere, Conflict."""
        ...

    def delete_client(self, client_uuid: str, *, still: Callable[[OidcClient], bool] | None = None) -> None:
        """Delete a client. Raises NotThere, Conflict."""
        ...
