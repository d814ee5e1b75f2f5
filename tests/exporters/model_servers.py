"""Model servers that answer over HTTP as Ollama, vLLM and LiteLLM do, or as badly as a test wants."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "ai"


def saved(name: str) -> bytes:
    """A saved answer."""
    return (FIXTURES / name).read_bytes()


OLLAMA = {
    "/api/version": b'{"version":"0.12.6"}',
    "/api/ps": saved("ollama_ps.json"),
    "/api/tags": saved("ollama_tags.json"),
}
VLLM = {"/metrics": saved("vllm_metrics.txt"), "/version": b'{"version":"0.10.2"}'}
LITELLM = {
    "/health/liveliness": b'"I\'m alive!"',
    "/health/readiness": b'{"status":"healthy","db":"connected","litellm_version":"1.77.5"}',
    "/metrics/": saved("litellm_metrics.txt"),
}


@dataclass
class Behaviour:
    """What a server says at each path; a path without an answer is 404. `token` is asked for where it is set.

    `raw` gives, by path, what is sent instead of an answer, piece by piece.
    """

    answers: dict[str, bytes]
    token: str = ""
    chunked: bool = False
    raw: dict[str, Callable[[], Iterator[bytes]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)


@contextmanager
def serving(
    behaviour: Behaviour, context: ssl.SSLContext | None = None, bind: str = "127.0.0.1"
) -> Iterator[str]:
    """Run a server on a free port; gives its address."""
    server = ThreadingHTTPServer((bind, 0), _handler(behaviour))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            behaviour.asked.append(self.path)
            behaviour.authorizations.append(self.headers["Authorization"])
            if self.path in behaviour.raw:
                self._send_pieces(behaviour.raw[self.path]())
            elif behaviour.token and self.headers["Authorization"] != f"Bearer {behaviour.token}":
                self.send_error(401)
            elif self.path in behaviour.answers:
                self._answer(behaviour.answers[self.path])
            else:
                self.send_error(404)

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            if behaviour.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            else:
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
            self.wfile.write(body)

        def _send_pieces(self, pieces: Iterator[bytes]) -> None:
            self.close_connection = True
            try:
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    return Handler
