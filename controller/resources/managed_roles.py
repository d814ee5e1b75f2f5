"""Which roles are ours to give and to take, whoever has them: people or teams. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.keycloak_values import KeycloakRole
    from controller.resources.resource import Context

__all__ = ["managed_roles"]


def managed_roles(roles: Mapping[str, KeycloakRole], context: Context) -> frozenset[str]:
    """Roles whose holders are ours to decide: ours by mark, to be adopted, or not made yet."""
    ours = {name for name, role in roles.items() if role.owner == context.owner}
    adopted = {name for name in context.adopted_roles if name in roles and not roles[name].owner}
    return frozenset(ours | adopted | (context.role_names - roles.keys()))
