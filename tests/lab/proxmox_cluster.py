"""The simulated cluster asked without HTTP, with a clock moved by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.proxmox.accounts import Entry, Token, User
from lab.proxmox.api import Answer, Credentials, Request, answer
from lab.proxmox.server import new_datacenter
from tests.lab.proxmox_replay import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping


class Cluster:
    """One cluster; `ask` gives an answer, `data` what a good one holds."""

    def __init__(self, environment: Mapping[str, Any]) -> None:
        self.clock = Clock()
        self.center = new_datacenter(environment, clock=self.clock)

    def user(self, userid: str, **roles: str) -> None:
        """A user with roles (underscores in a path stand for slashes, `root` for the root)."""
        self.center.accounts.users[userid] = User()
        for path, role in roles.items():
            place = "/" if path == "root" else "/" + path.replace("_", "/")
            self.center.accounts.acl[Entry(place, "user", userid, role)] = 1
        self.center.accounts.settle()

    def token(self, userid: str, name: str, *, privsep: int) -> None:
        """A token of a user."""
        self.center.accounts.users[userid].tokens[name] = Token(privsep=privsep)
        self.center.token_values[f"{userid}!{name}"] = "secret"
        self.center.accounts.settle()

    def ask(self, verb: str, path: str, who: str = "root@pam", /, **values: Any) -> Answer:
        """The answer to a request."""
        given = Credentials(api_token=f"{who}=secret") if "!" in who else Credentials(trusted_user=who)
        return answer(self.center, Request(verb, path, values, given))

    def data(self, verb: str, path: str, who: str = "root@pam", /, **values: Any) -> Any:
        """The data of an answer that must be a good one."""
        result = self.ask(verb, path, who, **values)
        assert result.status == 200, result
        assert result.body is not None
        return result.body["data"]

    def refusal(self, verb: str, path: str, who: str = "root@pam", /, **values: Any) -> tuple[int, object]:
        """Status and what is said of a request that must fail: the faults of parameters, else the message."""
        result = self.ask(verb, path, who, **values)
        assert result.status != 200, result
        assert result.body is not None
        return result.status, result.body.get("errors") or result.body["message"]
