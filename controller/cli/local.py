"""Talking to the controller that runs on this machine, over the Unix socket in its data folder."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import TYPE_CHECKING, Any

from controller.errors import ControllerError, Refused

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LocalController"]

_TIMEOUT_SECONDS = 15
_REFUSED = 409


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._path)


class LocalController:
    """The controller behind a socket."""

    def __init__(self, path: Path) -> None:
        self._path = min(str(path), os.path.relpath(path), key=len)  # a socket's address has 107 bytes

    def is_there(self) -> bool:
        """Whether a controller answers; a socket that a dead one left behind does not."""
        connection = _Connection(self._path)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for something and return the answer; raises ControllerError with the controller's own words."""
        connection = _Connection(self._path)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read(1024 * 1024))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ControllerError(f"the controller at {self._path} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            kind = Refused if response.status == _REFUSED else ControllerError
            raise kind(str(answer.get("detail", "the controller refused")), hint=str(answer.get("hint", "")))
        return dict(answer)
