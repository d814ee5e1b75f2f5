"""What an HTTP answer may cost: nothing is unpacked, nothing kept between requests, no body without a bound.

A controller is believed for what it signed, and for nothing else: one that was taken over must not be able
to fill this process's memory by an endless body, a compressed one that unfolds, or cookies.
"""

import aiohttp

from agent.errors import ControllerUnavailableError

__all__ = ["read_bounded", "session"]

_PIECE = 1 << 16


def session() -> aiohttp.ClientSession:
    """Return a session that keeps no cookies and unpacks no body."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
    )


async def read_bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the whole body; raises ControllerUnavailableError for one over `most` bytes."""
    parts = bytearray()
    async for part in response.content.iter_chunked(_PIECE):
        parts += part
        if len(parts) > most:
            raise ControllerUnavailableError(f"{response.url} sent more than {most} bytes")
    return bytes(parts)
