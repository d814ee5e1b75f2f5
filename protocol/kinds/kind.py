"""What the verifier knows of a kind of action."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from protocol.errors import BadDocument

__all__ = ["Kind", "Name", "NameList"]

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.@-]*\Z", max_length=64)]
"""A name that agent.yaml defines: never a path, an option or a pattern."""
NameList = Literal["accounts", "repositories", "sets", "units"]
"""The lists of names in a kind's limits."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its argument type, what limits look at in it, and what it acts on.

    `names` maps each argument that is a name to the list of the host's limits that must allow it;
    `resource_of` is the argument that names the resource within the family, None where the host itself is
    the resource. `result` is the shape of a receipt's `result` when the outcome is done.
    """

    name: str
    args: type[Struct]
    family: str
    resource_of: str | None = None
    names: Mapping[str, NameList] = field(default_factory=dict)
    result: type[Struct] | None = None

    def parse_args(self, args: Mapping[str, Any]) -> Struct:
        """The typed arguments. Raises BadDocument where they are not this kind's."""
        try:
            return msgspec.convert(dict(args), self.args)
        except msgspec.ValidationError as error:
            raise BadDocument(f"{self.name}: {error}") from error

    def resource(self, args: Struct) -> str:
        """What the action acts on, as `family:name`; actions on one resource keep their order."""
        if self.resource_of is None:
            return self.family
        return f"{self.family}:{getattr(args, self.resource_of)}"

    def limited_names(self, args: Struct) -> dict[NameList, str]:
        """The names in the arguments that the host's limits must allow, by the list that must hold them."""
        return {listed: getattr(args, argument) for argument, listed in self.names.items()}
