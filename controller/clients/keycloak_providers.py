"""Identity providers of a realm, and the flow of ours that links people by their address.

Our marks stand in the provider's `config`, which keeps keys that it does not know. The server answers the
client's secret as `**********` and keeps the one that it has where that comes back. Source: Keycloak Admin
REST API, resources "Identity Providers" and "Authentication Management".
"""

from __future__ import annotations

import threading
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from controller.clients.keycloak_session import (
    PAGE,
    KeycloakSender,
    KeycloakSession,
    page_of,
    path_part,
    require,
)
from controller.errors import Unobserved
from controller.keycloak_login_values import IdentityProvider
from controller.keycloak_values import OWNER_ATTRIBUTE
from controller.secret_sources import SecretName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from controller.clients.keycloak_wire import Json

__all__ = ["LINK_FLOW", "ProviderReader", "ProviderWriter"]

LINK_FLOW: Final = "steward link by e-mail"
"""First login: an account is made where the address is new, else the account with it is taken."""

_LINK_STEPS: Final = (("idp-create-user-if-unique", "ALTERNATIVE"), ("idp-auto-link", "ALTERNATIVE"))
_DEFAULT_FLOW: Final = "first broker login"
_SECRET_NAME: Final = "steward.client_secret"  # noqa: S105 - names the reference
_SECRET: Final = "clientSecret"  # noqa: S105 - a field's name
_FLOW: Final = "firstBrokerLoginFlowAlias"
_INSTANCES: Final = "/identity-provider/instances"
_FLOWS: Final = "/authentication/flows"

_TOP: Final = MappingProxyType(
    {"type": "providerId", "enabled": "enabled", "display_name": "displayName", "trust_email": "trustEmail"}
)
_CONFIG: Final = MappingProxyType(
    {
        "owner": OWNER_ATTRIBUTE,
        "client_id": "clientId",
        "issuer": "issuer",
        "authorization_url": "authorizationUrl",
        "token_url": "tokenUrl",
        "user_info_url": "userInfoUrl",
        "logout_url": "logoutUrl",
        "hosted_domain": "hostedDomain",
    }
)
_CHECKS: Final = ("useJwksUrl", "validateSignature")


class ProviderReader(KeycloakSession):
    """Reads identity providers."""

    def identity_providers(self) -> tuple[IdentityProvider, ...]:
        """All of them. Raises `Unobserved` where the list changed while it was read."""
        found: list[Json] = []
        while len(found) % PAGE == 0:
            page = self._read(
                _INSTANCES, list[dict[str, Any]], briefRepresentation="false", **page_of(len(found))
            )
            if not page:
                break
            found.extend(page)
        if len({provider["alias"] for provider in found}) != len(found):
            raise Unobserved("keycloak", "the identity providers changed while they were read")
        is_flow_ours = self._flow_is_ours(found)
        return tuple(_value(provider, is_flow_ours) for provider in found)

    def _flow_is_ours(self, providers: Sequence[Json]) -> bool:
        """Whether our flow is as we make it; asked only where somebody uses it."""
        if not any(provider.get(_FLOW) == LINK_FLOW for provider in providers):
            return False
        flow = self._link_flow()
        return flow is not None and _steps(flow) == _LINK_STEPS

    def _link_flow(self) -> Json | None:
        flows = self._read(_FLOWS, list[dict[str, Any]])
        return next((flow for flow in flows if flow.get("alias") == LINK_FLOW), None)


class ProviderWriter(KeycloakSender, ProviderReader):
    """Writes identity providers."""

    def create_identity_provider(self, provider: IdentityProvider) -> None:
        """Create it, with the flow that it needs. Raises `Conflict`, and what resolving its secret raises."""
        names = {name for name in provider.__dataclass_fields__ if getattr(provider, name) not in ("", ())}
        body = self._provider_body({"alias": provider.alias, "config": {}}, provider, names | {"by_email"})
        self._send("POST", f"{self._base}{_INSTANCES}", body)

    def update_identity_provider(
        self,
        provider: IdentityProvider,
        names: Collection[str],
        *,
        still: Callable[[IdentityProvider], bool] | None = None,
    ) -> None:
        """Alter the fields in `names`; the secret goes with any of them where its reference is known.

        Raises `NotThere`, `Conflict`, and what resolving the secret raises.
        """
        path = self._provider_path(provider.alias)
        current = self._raw(path)
        require(still, lambda: _value(current, self._flow_is_ours([current])), provider.alias)
        self._send("PUT", path, self._provider_body(current, provider, names))
        if current.get(_FLOW) == LINK_FLOW and "by_email" in names and provider.by_email != "link":
            self._drop_unused_flow()

    def delete_identity_provider(
        self, alias: str, *, still: Callable[[IdentityProvider], bool] | None = None
    ) -> None:
        """Delete it, with the links of people to it. Raises `NotThere`, `Conflict`."""
        current = self._raw(self._provider_path(alias))
        require(still, lambda: _value(current, self._flow_is_ours([current])), alias)
        self._send("DELETE", self._provider_path(alias))
        if current.get(_FLOW) == LINK_FLOW:
            self._drop_unused_flow()

    def _provider_path(self, alias: str) -> str:
        return f"{self._base}{_INSTANCES}/{path_part(alias)}"

    def _provider_body(self, current: Json, provider: IdentityProvider, names: Collection[str]) -> Json:
        made = dict(current)
        config: dict[str, str] = dict(current.get("config") or {})
        made |= {field: getattr(provider, name) for name, field in _TOP.items() if name in names}
        config |= {field: getattr(provider, name) for name, field in _CONFIG.items() if name in names}
        if "scopes" in names:
            config["defaultScope"] = " ".join(provider.scopes)
        if "sync" in names:
            config["syncMode"] = provider.sync.upper()
        if "jwks_url" in names:
            config["jwksUrl"] = provider.jwks_url
            config |= dict.fromkeys(_CHECKS, str(bool(provider.jwks_url)).lower())
        if "client_secret" in names:
            config[_SECRET_NAME] = provider.client_secret
        if config.get(_SECRET_NAME):
            config[_SECRET] = self._resolve(SecretName.of(config[_SECRET_NAME]), "identity_providers")
        if "by_email" in names:
            made |= {_FLOW: LINK_FLOW}
            if provider.by_email != "link":
                del made[_FLOW]  # the server's own first login
        if made.get(_FLOW) == LINK_FLOW:
            self._ensure_link_flow()
        return made | {"config": {name: text for name, text in config.items() if text}}

    @cached_property
    def _flow_lock(self) -> threading.Lock:
        return threading.Lock()

    def _ensure_link_flow(self) -> None:
        """Our flow, as it should be; one that was altered is filled anew, because a flow in use stays."""
        with self._flow_lock:
            flow = self._link_flow()
            if flow is not None and _steps(flow) == _LINK_STEPS:
                return
            path = f"{self._base}{_FLOWS}/{path_part(LINK_FLOW)}/executions"
            if flow is None:
                self._send("POST", f"{self._base}{_FLOWS}", dict(_NEW_FLOW))
            else:
                for step in self._get(path, list[dict[str, Any]]):
                    if not step.get("level"):
                        self._send(
                            "DELETE", f"{self._base}/authentication/executions/{path_part(step['id'])}"
                        )
            for authenticator, _ in _LINK_STEPS:
                self._send("POST", f"{path}/execution", {"provider": authenticator})
            requirements = dict(_LINK_STEPS)
            for step in self._get(path, list[dict[str, Any]]):
                self._send("PUT", path, step | {"requirement": requirements[step["providerId"]]})

    def _drop_unused_flow(self) -> None:
        with self._flow_lock:
            providers = self._read(
                _INSTANCES, list[dict[str, Any]], briefRepresentation="false", **page_of(0)
            )
            flow = self._link_flow()
            if flow is not None and not any(provider.get(_FLOW) == LINK_FLOW for provider in providers):
                self._send("DELETE", f"{self._base}{_FLOWS}/{path_part(flow['id'])}")


_NEW_FLOW: Final = MappingProxyType(
    {
        "alias": LINK_FLOW,
        "description": "Made by Steward: who comes with the address of an account is linked to it",
        "providerId": "basic-flow",
        "topLevel": True,
        "builtIn": False,
    }
)


def _steps(flow: Json) -> tuple[tuple[str, str], ...]:
    executions = sorted(flow.get("authenticationExecutions") or (), key=lambda one: one.get("priority", 0))
    return tuple((one.get("authenticator", ""), one.get("requirement", "")) for one in executions)


def _value(provider: Json, is_flow_ours: bool) -> IdentityProvider:
    config: Mapping[str, str] = provider.get("config") or {}
    checks = all(config.get(name) == "true" for name in _CHECKS)
    return IdentityProvider(
        alias=provider["alias"],
        type=provider.get("providerId") or "",
        enabled=bool(provider.get("enabled")),
        display_name=provider.get("displayName") or "",
        trust_email=bool(provider.get("trustEmail")),
        client_secret=config.get(_SECRET_NAME, "") if config.get(_SECRET) else "",
        jwks_url=config.get("jwksUrl", "") if checks else "",
        scopes=tuple((config.get("defaultScope") or "").split()),
        sync=config.get("syncMode", "legacy").lower(),
        by_email=_by_email(provider.get(_FLOW) or "", is_flow_ours),
        **{name: config.get(field) or "" for name, field in _CONFIG.items()},
    )


def _by_email(flow: str, is_ours: bool) -> str:
    if flow == LINK_FLOW:
        return "link" if is_ours else "link, altered by hand"
    return "confirm" if flow in {"", _DEFAULT_FLOW} else f"flow {flow}"
