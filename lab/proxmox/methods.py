"""What an API method is, and how a request finds it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lab.proxmox.checks import Check
    from lab.proxmox.datacenter import Datacenter
    from lab.proxmox.permissions import Permissions
    from lab.proxmox.schema import Schema

__all__ = ["Call", "Listing", "Method", "Router"]


@dataclass(frozen=True)
class Listing:
    """A result with the attribute `total`, which upstream leaves out when it is 0."""

    data: list[dict[str, object]]
    total: int


@dataclass
class Call:
    """One request on its way through a method: verified parameters and whose rights count."""

    center: Datacenter
    who: str
    params: dict[str, str]
    rights: Permissions

    def flag(self, name: str) -> bool:
        """A switch; off where it is absent."""
        return self.params.get(name) == "1"


@dataclass(frozen=True)
class Method:
    """An API method; `open_to` says who may call it without a `check`.

    `proxied` methods are answered by the node that the parameter `node` names; `token_allowed` is off where
    upstream wants a ticket.
    """

    verb: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    run: Callable[[Call], object]
    schema: Schema = field(default_factory=dict)
    check: Check | None = None
    open_to: Literal["root", "all", "world"] = "root"
    proxied: bool = False
    token_allowed: bool = True


class Router:
    """Finds a method by verb and path. `{name}` stands for one segment, `{name*}` for the whole rest.

    Empty segments do not count, and one with a blank in it is none (PVE::RESTHandler `find_handler`).
    """

    def __init__(self, methods: Iterable[Method]) -> None:
        self._routes = [(_compile(method.path), method) for method in methods]

    def find(self, verb: str, path: str) -> tuple[Method, Mapping[str, str]] | None:
        """The method and the parameters in its path; of several methods the first of the table."""
        whole = "/" + "/".join(segment for segment in path.split("/") if segment)
        for pattern, method in self._routes:
            if method.verb == verb:
                found = pattern.fullmatch(whole)
                if found is not None:
                    return method, found.groupdict()
        return None


def _compile(template: str) -> re.Pattern[str]:
    pattern = re.sub(r"\{(\w+)\*\}", r"(?P<\1>\\S+)", template)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/\\s]+)", pattern))
