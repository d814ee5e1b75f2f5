"""Which hosts may be given work: those that the policy in force names, and no others.

A host that the policy does not name gets trust documents and nothing else (actions.md section 9). Where a
controller follows no repository there is no policy that could name one: then the hosts that an operator let
in by a token are the list. Where it follows one and none is in force yet, the list is empty: what is not
known is not allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.policy import Policy

__all__ = ["BY_ENROLMENT", "UNREAD", "HostNotNamed", "NamedHosts"]


class HostNotNamed(Refused):
    """The policy in force does not name the host, or there is none yet that could."""


@dataclass(frozen=True)
class NamedHosts:
    """The hosts by name, each with its labels. `is_open`: every enrolled host counts as named."""

    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_open: bool = False
    is_read: bool = True

    @classmethod
    def of(cls, policy: Policy) -> NamedHosts:
        """The hosts of a policy."""
        return cls({name: dict(host.labels) for name, host in policy.hosts.items()})

    def __contains__(self, name: object) -> bool:
        return self.is_open or name in self.labels

    def require(self, name: str) -> None:
        """Raise HostNotNamed with the line to add, unless `name` may be given work."""
        if name in self:
            return
        if not self.is_read:
            raise HostNotNamed(
                "no policy is in force yet, so no host may be given anything to do",
                hint="the status page says why; `steward serve` reads the policy",
            )
        raise HostNotNamed(
            f"the policy in force does not name the host {name}",
            hint=f"add the line `{name}: {{}}` under `hosts:` in the policy, and commit it",
        )

    def labels_of(self, name: str) -> Mapping[str, str]:
        """What the policy says of a host beside its name; nothing for a host that it does not name."""
        return self.labels.get(name, {})


BY_ENROLMENT = NamedHosts(is_open=True)
"""No repository is followed."""
UNREAD = NamedHosts(is_read=False)
"""A repository is followed, and no policy of it is in force yet."""
