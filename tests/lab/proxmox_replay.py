"""Replays a recording of the real Proxmox VE API against the simulator, over HTTP, and says which steps hold.

How steps are sent and compared stands in the notes of the recordings.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from lab.proxmox.datacenter import Datacenter

_MADE_UP_TOKEN = "00000000-0000-4000-8000-000000000000"
_HEX = r"[0-9A-F]{8,9}"
_TEXT_PLACEHOLDERS = {
    "token-value": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "ticket": r"PVE:.+",
    "csrf": r"[0-9A-F]{8}:.+",
    "digest": r"[0-9a-f]{40}",
    "pid": _HEX,
    "pstart": _HEX,
    "starttime": _HEX,
}


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand."""

    now: float = 1_700_000_100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Replay:
    """One run through a recording; `delays` are the waits that the server would have made."""

    url: str
    center: Datacenter
    clock: Clock
    delays: list[float]
    tokens: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    upid: str = ""
    login: dict[str, str] = field(default_factory=dict)

    def step(self, step: dict[str, Any]) -> str:
        """Send a step; an empty text where the answer is as recorded, else what differs."""
        self.delays.clear()
        with requests.Session() as session:
            response = session.request(
                step["method"],
                f"{self.url}/api2/json" + step["path"].replace("<saved:upid>", self.upid),
                headers=self._headers(step),
                timeout=10,
                **self._parameters(step),
            )
        body = response.json() if response.content else None
        difference = self._compare(step, response, body)
        if body is not None:
            self._remember(step, response.status_code, body)
        return difference

    def _parameters(self, step: dict[str, Any]) -> dict[str, Any]:
        saved = {
            name: self.digest if value == "<saved:digest>" else value
            for name, value in step.get("params", {}).items()
        }
        if step["method"] in {"GET", "DELETE"}:
            return {"params": saved}
        return {"json": saved} if step.get("encoding") == "json" else {"data": saved}

    def _headers(self, step: dict[str, Any]) -> dict[str, str]:
        who, how, now = step["as"], step.get("auth", ""), self.clock.now
        if who is None:
            return {}
        if "!" in who:
            value = _MADE_UP_TOKEN if how == "bad-token" else self.tokens.get(who, _MADE_UP_TOKEN)
            return {"Authorization": f"PVEAPIToken={who}={value}"}
        ticket = self.center.tickets.issue(who, now=now - 7300 if how == "expired-ticket" else now)
        csrf = self.center.tickets.issue_csrf(who, now=now)
        if how == "saved-ticket":
            ticket, csrf = self.login["ticket"], self.login["CSRFPreventionToken"]
        if how == "bad-ticket":
            ticket = ticket[:-4] + "AAA="
        headers = {"Cookie": f"PVEAuthCookie={requests.utils.quote(ticket, safe='')}"}
        if step["method"] != "GET" and how != "no-csrf":
            headers["CSRFPreventionToken"] = csrf[:-4] + "AAA=" if how == "bad-csrf" else csrf
        return headers

    def _compare(self, step: dict[str, Any], response: requests.Response, body: Any) -> str:
        if response.status_code != step["status"]:
            return f"status {response.status_code} {response.text}, recorded {step['status']}"
        if sum(self.delays) != step.get("delay", 0):
            return f"delay {sum(self.delays)}, recorded {step.get('delay', 0)}"
        if "reason" in step and _plain(response.reason) != _plain(step["reason"]):
            return f"reason {response.reason!r}, recorded {step['reason']!r}"
        if step.get("body") == "":
            return "" if body is None else f"body {body}, recorded none"
        if body is None:
            return "no body"
        if _plain(body.get("message", "")) != _plain(step.get("message", "")):
            return f"message {body.get('message')!r}, recorded {step.get('message')!r}"
        for name in ("errors", "total", "data"):
            if not matches(step.get(name), body.get(name)):
                got, want = (json.dumps(side.get(name), sort_keys=True) for side in (body, step))
                return f"{name}\n   got {got}\n  want {want}"
        return ""

    def _remember(self, step: dict[str, Any], status: int, body: dict[str, Any]) -> None:
        data = body["data"]
        if isinstance(data, str) and data.startswith("UPID:"):
            self.upid = data
            task = self.center.tasks.find(data)
            if step.get("settle") and task is not None:
                self.clock.now = max(self.clock.now, task.ends_at)
        if isinstance(data, dict):
            self.digest = data.get("digest", self.digest)
            if "full-tokenid" in data:
                self.tokens[data["full-tokenid"]] = data["value"]
            if status == 200 and "CSRFPreventionToken" in data:
                self.login = data


def _plain(text: str) -> str:
    return re.sub(r" at \S+ line \d+\.\n?$", "", text)


def matches(expected: Any, got: Any, key: str = "") -> bool:
    """Whether an answer is as recorded: placeholders fit, lists hold the same elements in any order."""
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and expected.keys() == got.keys()
            and all(matches(value, got[name], name) for name, value in expected.items())
        )
    if isinstance(expected, list):
        return isinstance(got, list) and _same_elements(expected, got)
    if isinstance(expected, str) and re.search(r"<[a-z-]+>", expected):
        return _fits(expected, got)
    if isinstance(expected, str) and isinstance(got, str) and key == "content":
        return sorted(expected.split(",")) == sorted(got.split(","))
    return isinstance(got, str) == isinstance(expected, str) and expected == got


def _same_elements(expected: list[Any], got: list[Any]) -> bool:
    left = list(got)
    for element in expected:
        found = next((other for other in left if matches(element, other)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _fits(expected: str, got: Any) -> bool:
    whole = re.fullmatch(r"<([a-z-]+)>", expected)
    in_upid = {"pid", "pstart", "starttime"}
    if whole and (whole[1] in in_upid or whole[1] not in _TEXT_PLACEHOLDERS):
        return isinstance(got, (int, float)) and not isinstance(got, bool)
    pattern = "".join(
        f"(?:{_TEXT_PLACEHOLDERS[part[1:-1]]})" if re.fullmatch(r"<[a-z-]+>", part) else re.escape(part)
        for part in re.split(r"(<[a-z-]+>)", expected)
    )
    return isinstance(got, str) and re.fullmatch(pattern, got) is not None
