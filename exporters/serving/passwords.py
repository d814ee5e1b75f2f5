"""Passwords of the web configuration: bcrypt as Prometheus' exporters have it, by the system's libcrypt.

libxcrypt is part of every Debian, Ubuntu and Fedora, and crypt(3) of it knows bcrypt; calling it costs half a
megabyte of memory. Elsewhere the package `bcrypt` does, where it is installed. Whichever it is has to give
the right answer to a known hash before it is used.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from hmac import compare_digest
from time import monotonic

from exporters.errors import ExporterError
from exporters.lane import Job, Lane

Hash = Callable[[bytes, bytes], bytes]
"""From password and setting (or a whole hash) to the hash; what is no setting gives what equals no hash."""

_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")
_DATA_BYTES = 1 << 15  # struct crypt_data of libxcrypt is exactly this large (crypt(3))
_KNOWN = (b"steward", b"$2b$04$abcdefghijklmnopqrstuua.3R.XuKf05mz.zqW7/BDQH00EPr62G")
_NOBODYS_SALT = "abcdefghijklmnopqrstuu"
_MOST_REMEMBERED = 128
_MOST_WAITING = 8
_DEADLINE_SECONDS = 30.0
_BURST = 10.0
_GUESSES_PER_SECOND = 0.2
_MOST_GUESSERS = 1024


class TooManyGuessesError(ExporterError):
    """So many passwords wait to be checked, or were wrong, that this one is not looked at now."""


def find_bcrypt() -> Hash:
    """A bcrypt that works.

    Raises:
        ExporterError: there is none on this system.
    """
    for make in (_libcrypt, _package):
        found = make()
        if found is not None and compare_digest(found(*_KNOWN), _KNOWN[1]):
            return found
    raise ExporterError(
        "basic_auth_users: neither this system's libcrypt nor a Python package bcrypt can check passwords"
    )


class Passwords:
    """Checks passwords one at a time in a thread of its own, and remembers which were right.

    What is remembered is a keyed digest of user, password and hash, in memory only. A right password that was
    seen before costs microseconds; every other costs a bcrypt, unknown users too, and one address may be
    wrong ten times at once and then once in five seconds.
    """

    def __init__(self, bcrypt: Hash, *, steady: Callable[[], float] = monotonic) -> None:
        self._bcrypt = bcrypt
        self._steady = steady
        self._key = os.urandom(32)
        self._right: dict[bytes, None] = {}
        self._lane = Lane[bool]("exporters-passwords")
        self._waiting = 0
        self._serial = 0
        self._guessers: dict[str, tuple[float, float]] = {}

    async def check(self, user: str, password: str, users: Mapping[str, str], address: str) -> bool:
        """Whether it is the password of the user; `users` maps names to hashes.

        Raises:
            TooManyGuessesError: ask again later.
        """
        expected = users.get(user)
        digest = self._digest(user, password, expected or "")
        if expected is not None and digest in self._right:
            return True
        if self._waiting >= _MOST_WAITING or self._allowance(address) < 1:
            raise TooManyGuessesError("too many passwords to check; try again later")
        is_right = await self._compare(password, expected or _nobodys(users)) and expected is not None
        if is_right:
            self._remember(digest)
        else:
            self._guessed(address)
        return is_right

    def close(self) -> None:
        """End the thread."""
        self._lane.close()

    async def _compare(self, password: str, expected: str) -> bool:
        typed, wanted = password.encode(), expected.encode()

        def compare() -> bool:
            return compare_digest(self._bcrypt(typed, wanted), wanted) and b"\0" not in typed

        self._waiting += 1
        self._serial += 1
        name = str(self._serial)
        try:
            outcome = (await self._lane.run_async([Job(name, compare, _DEADLINE_SECONDS)]))[name]
        finally:
            self._waiting -= 1
        return outcome.value is True

    def _digest(self, user: str, password: str, expected: str) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for part in (user, password, expected):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.digest()

    def _remember(self, digest: bytes) -> None:
        while len(self._right) >= _MOST_REMEMBERED:
            del self._right[next(iter(self._right))]
        self._right[digest] = None

    def _allowance(self, address: str) -> float:
        """How many wrong passwords this address may still send now."""
        now = self._steady()
        left, since = self._guessers.get(address, (_BURST, now))
        return min(_BURST, left + (now - since) * _GUESSES_PER_SECOND)

    def _guessed(self, address: str) -> None:
        left = self._allowance(address) - 1
        self._guessers.pop(address, None)
        while len(self._guessers) >= _MOST_GUESSERS:
            del self._guessers[next(iter(self._guessers))]
        self._guessers[address] = (left, self._steady())


def _nobodys(users: Mapping[str, str]) -> str:
    """A hash that no password has, as costly as those of the users."""
    cost = max((hashed[4:6] for hashed in users.values()), default="10")
    return f"$2b${cost}${_NOBODYS_SALT}{'.' * 31}"


def _libcrypt() -> Hash | None:
    import ctypes

    for name in _LIBRARIES:
        with contextlib.suppress(OSError, AttributeError):
            function = ctypes.CDLL(name).crypt_rn
            function.restype = ctypes.c_char_p
            function.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
            return _Libcrypt(lambda: ctypes.create_string_buffer(_DATA_BYTES), function)
    return None


class _Libcrypt:
    """crypt_rn(3) as a function; `scratch` makes its working memory."""

    def __init__(self, scratch: Callable[[], object], function: Callable[..., bytes | None]) -> None:
        self._scratch = scratch
        self._function = function

    def __call__(self, password: bytes, setting: bytes) -> bytes:
        data = self._scratch()
        return self._function(password, setting, data, _DATA_BYTES) or b""


def _package() -> Hash | None:
    try:
        import bcrypt  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None

    def call(password: bytes, setting: bytes) -> bytes:
        with contextlib.suppress(ValueError):
            answer: bytes = bcrypt.hashpw(password[:72], setting)
            return answer
        return b""

    return call
