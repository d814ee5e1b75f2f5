"""The realm's user profile declares our attributes, visible and editable for admins only.

Without the declaration Keycloak drops the ownership mark silently, on creation and on update (see
docs/rights.md), and nothing that we create could be told from what others made. Therefore users and their
changes depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.keycloak_values import OWNER_ATTRIBUTE
from controller.plan.change import Change, Outcome, update
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.policy.model import Policy
    from controller.resources.ports import KeycloakReader, KeycloakWriter

__all__ = ["KEY", "SECTION", "Profile", "apply", "desired", "diff", "observe"]

SECTION = "profile"
KEY = "users"


@dataclass(frozen=True)
class Profile:
    """Whether our attributes are declared, for administrators alone."""

    declared: bool


def desired(policy: Policy, _context: Context) -> Mapping[str, Profile]:
    """Declared, as soon as the policy names people."""
    return {KEY: Profile(declared=True)} if policy.users else {}


def observe(client: KeycloakReader, _context: Context) -> Mapping[str, Profile]:
    """The declaration as it stands; a realm that is not there declares nothing."""
    return {KEY: Profile(declared=client.realm() is not None and client.owner_declared())}


def diff(observed: Mapping[str, Profile], desired: Mapping[str, Profile], context: Context) -> Difference:
    """One update where the declaration is missing."""
    if not desired or observed[KEY].declared:
        return Difference()
    change = update(
        context.system,
        SECTION,
        KEY,
        {OWNER_ATTRIBUTE: "not for administrators alone"},
        {OWNER_ATTRIBUTE: "for administrators alone"},
        reason="Keycloak would drop our marks otherwise, or let people write their own",
        depends_on=(f"{context.system}/realm/{context.realm}",),
    )
    return Difference(changes=(change,))


def apply(client: KeycloakWriter, change: Change) -> Outcome:
    """Declare the attributes; others in the profile stay as they are."""

    def write() -> Outcome:
        client.declare_owner()
        return applied(change)

    return ended(change, write)
