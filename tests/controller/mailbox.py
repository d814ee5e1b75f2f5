"""A mail server on loopback that keeps what it is given."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Mail:
    """A mail as it was taken."""

    recipient: str
    text: str


class Mailbox:
    """Takes mail on a free port while the block lasts."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        mailbox = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                mailbox._talk(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _talk(self, peer: socketserver.StreamRequestHandler) -> None:
        """SMTP as far as a client needs it that asks for no extension (RFC 5321)."""

        def say(line: str) -> None:
            peer.wfile.write(f"{line}\r\n".encode())

        say("220 mailbox")
        recipient = ""
        while line := peer.rfile.readline().decode(errors="replace"):
            verb = line.split(":")[0].strip().upper()
            if verb == "RCPT TO":
                recipient = line.partition("<")[2].partition(">")[0]
            if verb == "DATA":
                say("354 go on")
                text = "".join(iter(lambda: peer.rfile.readline().decode(errors="replace"), ".\r\n"))
                self.mails.append(Mail(recipient, text))
            say("250 ok")
            if verb == "QUIT":
                return
