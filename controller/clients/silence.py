"""Why a system gave no answer, in words that an operator can act on.

The text of a library's error may hold an address with its query, so only its kind, the operating system's
word for it and the verdict on the certificate are used.
"""

from __future__ import annotations

import ssl

import requests

__all__ = ["CERTIFICATE_HINT", "is_about_trust", "why_silent"]

CERTIFICATE_HINT = "is ca_file the authority that signed its certificate?"
_NO_ANSWER_IN_TIME = (requests.exceptions.ReadTimeout, requests.exceptions.ConnectTimeout)
_DEPTH = 6
_NAMES = {
    "NameResolutionError": "its name is not known",
    "RemoteDisconnected": "it closed the connection",
    "ProtocolError": "the connection broke",
    "IncompleteRead": "the answer broke off",
    "ChunkedEncodingError": "the answer broke off",
    "ReadTimeoutError": "no answer in time",
    "ConnectTimeoutError": "no connection in time",
}


def why_silent(error: BaseException | None) -> str:
    """The cause in words; the kind of the error where there are none."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({one.verify_message})"
        if isinstance(one, ssl.SSLError):
            return "it does not speak TLS as we do"
    for one in chain:
        if type(one).__name__ in _NAMES:
            return _NAMES[type(one).__name__]
        if isinstance(one, _NO_ANSWER_IN_TIME):
            return "no answer in time"
        if isinstance(one, OSError) and one.strerror and not isinstance(one, requests.RequestException):
            return one.strerror[:1].lower() + one.strerror[1:]
    return type(chain[-1]).__name__ if chain else "no reason given"


def is_about_trust(error: BaseException | None) -> bool:
    """Whether the certificate is the matter."""
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in _chain(error))


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and what is inside it: requests and urllib3 hold causes as `reason`, argument or cause."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < _DEPTH * _DEPTH:
        one = waiting.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        inner = [getattr(one, "reason", None), *one.args, one.__cause__]
        waiting += [other for other in inner if isinstance(other, BaseException)]
    return found
