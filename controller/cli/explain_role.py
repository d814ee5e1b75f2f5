"""A role explained, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.cli.rendering import console, place_of, print_wrapped
from controller.cli.simulating import print_entries, ways_text
from controller.effects import NOUNS

if TYPE_CHECKING:
    from controller.explain_role import Place, RoleExplanation

__all__ = ["print_role"]


def print_role(found: RoleExplanation) -> None:
    """What the role is and gives, who has it, and where it is assigned."""
    out = console()
    description = f"  {found.description}" if found.description else ""
    print_wrapped(out, f"role {found.role}{description}", style="bold")
    print_wrapped(out, f"  {place_of(found.source)}", style="dim")
    for label, names in (("made of", found.includes), ("part of", found.included_by)):
        if names:
            print_wrapped(out, f"  {label} {', '.join(names)}")
    if found.is_default:
        print_wrapped(
            out, "  everybody has it who comes by an identity provider or registers (default_roles)"
        )
    if found.permissions or found.privileges:
        out.print("\ngives", style="bold")
    if found.permissions:
        print_wrapped(out, f"  in the controller's API: {' '.join(found.permissions)}")
    if found.privileges:
        print_wrapped(out, f"  on Proxmox, where it is assigned: {' '.join(found.privileges)}")
    held = f"held by {len(found.holders)} {'person' if len(found.holders) == 1 else 'people'}"
    print_entries(
        out,
        held,
        (
            (
                holder.user,
                ways_text(holder.ways) + ("" if holder.is_active else ", the account is disabled"),
                holder.ways[0].source,
            )
            for holder in found.holders
        ),
    )
    print_entries(
        out,
        "assigned",
        ((f"{NOUNS[place.section]} {place.name}", _holder(place), place.source) for place in found.places),
    )
    if not found.holders and not found.places:
        out.print("\nnobody has it, and it is assigned nowhere")


def _holder(place: Place) -> str:
    return place.holder if place.kind == "user" else f"{place.kind} {place.holder}"
