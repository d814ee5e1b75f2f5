"""Which roles are ours to give and to take, whoever has them: people or teams. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.keycloak_values import is_built_in_role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.keycloak_values import KeycloakRole
    from controller.resources.resource import Context

__all__ = ["managed_roles"]


def managed_roles(roles: Mapping[str, KeycloakRole], context: Context, *, of: str) -> frozenset[str]:
    """Roles whose holders are ours to decide: ours by mark, to be adopted, or not made yet.

    `of` is the mode of the section that gives them: where it is applied while roles are only reported, none
    is adopted or made for it. Keycloak's own are never ours.
    """
    ours = {
        name for name, role in roles.items() if role.owner == context.owner and not is_built_in_role(name)
    }
    if context.withholds("roles", of=of):
        return frozenset(ours)
    adopted = {name for name in context.adopted_roles if name in roles and not roles[name].owner}
    return frozenset(ours | adopted | (context.role_names - roles.keys()))
