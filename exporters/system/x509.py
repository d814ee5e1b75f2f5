"""Reads of a certificate what people ask for: names, serial number, validity.

A reader of our own: `cryptography` costs more memory than all collectors together, and that in `ssl` is
private. X.509 is RFC 5280, DER is ITU-T X.690, names as text are RFC 4514. Nothing is verified here.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from exporters.errors import SourceError

_SEQUENCE, _SET, _INTEGER, _OID = 0x30, 0x31, 0x02, 0x06
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION = 0xA0
_STRINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
"""Encoding by tag: UTF8String, NumericString, PrintableString, TeletexString, IA5String, UniversalString,
BMPString.
"""

_ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_MOST_LENGTH_BYTES = 4
_MOST_NAME_CHARACTERS = 256
_LABEL = rb"(?:X509 |TRUSTED )?CERTIFICATE-----"
_PEM = re.compile(rb"-----BEGIN " + _LABEL + rb"\s([A-Za-z0-9+/=\s]*+)-----END " + _LABEL)
_WHITE = re.compile(rb"\s+")
_TIME = re.compile(rb"(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")
_SPECIAL = re.compile(r'([,+"\\<>;=])')
_TIME_YEARS = {_UTC_TIME: 2, _GENERALIZED_TIME: 4}
_CENTURY_BREAK = 50  # RFC 5280, section 4.1.2.5.1: 50 to 99 is 19xx


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of itself; validity in unixtime, serial number and digest in hexadecimal."""

    subject: str
    issuer: str
    serial: str
    sha256: str
    not_before: int
    not_after: int


class _Element(NamedTuple):
    tag: int
    content: bytes


def certificates(data: bytes) -> list[Certificate]:
    """The certificates in a file, PEM (one or several, among whatever else) or DER.

    What is between other BEGIN and END lines, such as private keys, is not looked at.

    Raises:
        SourceError: there is none, or one is malformed.
    """
    if data[:1] == bytes((_SEQUENCE,)):
        return [certificate(data)]
    found = [certificate(_decoded(match[1])) for match in _PEM.finditer(data)]
    if not found:
        raise SourceError("certificate", "none in it")
    return found


def certificate(der: bytes) -> Certificate:
    """A certificate in DER.

    Raises:
        SourceError: it is malformed.
    """
    try:
        whole = _sequence(_first(der))
        fields = iter(list(_elements(_sequence(next(_elements(whole))))))
        serial = next(fields)
        if serial.tag == _VERSION:
            serial = next(fields)
        _signature, issuer, validity, subject = next(fields), next(fields), next(fields), next(fields)
        not_before, not_after = _elements(_sequence(validity))
        if serial.tag != _INTEGER or not serial.content:
            raise ValueError("a serial number that is none")
        return Certificate(
            _name(_sequence(subject)),
            _name(_sequence(issuer)),
            serial.content.hex().lstrip("0").rjust(2, "0")[:64],
            sha256(_trimmed(der)).hexdigest(),
            _instant(not_before),
            _instant(not_after),
        )
    except (ValueError, StopIteration) as error:
        raise SourceError("certificate", f"malformed: {error}") from error


def _decoded(text: bytes) -> bytes:
    try:
        return a2b_base64(_WHITE.sub(b"", text), strict_mode=True)
    except Base64Error as error:
        raise SourceError("certificate", "malformed base64") from error


def _elements(data: bytes) -> Iterator[_Element]:
    at = 0
    while at < len(data):
        element, at = _element(data, at)
        yield element


def _first(data: bytes) -> _Element:
    return _element(data, 0)[0]


def _trimmed(data: bytes) -> bytes:
    """A certificate without what stands behind it, as the trust of OpenSSL's TRUSTED CERTIFICATE."""
    return data[: _element(data, 0)[1]]


def _element(data: bytes, at: int) -> tuple[_Element, int]:
    """The element that begins at `at`, and where the next begins. Lengths are DER's: the shortest."""
    head = data[at : at + 2]
    if len(head) < 2 or head[0] & 0x1F == 0x1F:
        raise ValueError("an element without an end, or of a tag that no certificate has")
    length, start = head[1], at + 2
    if length & 0x80:
        size = length & 0x7F
        digits = data[start : start + size]
        if not 0 < size <= _MOST_LENGTH_BYTES or len(digits) < size or digits[0] == 0:
            raise ValueError("a length that is not DER's")
        length = int.from_bytes(digits, "big")
        start += size
        if length < 0x80:
            raise ValueError("a length that is not the shortest")
    end = start + length
    if end > len(data):
        raise ValueError("an element beyond the end")
    return _Element(head[0], data[start:end]), end


def _sequence(element: _Element) -> bytes:
    if element.tag != _SEQUENCE:
        raise ValueError(f"tag {element.tag:#x} where a sequence should be")
    return element.content


def _name(content: bytes) -> str:
    """A distinguished name, the most specific part first, cut where it is endless."""
    parts = []
    for relative in _elements(content):
        if relative.tag != _SET:
            raise ValueError("a name that is none")
        parts.append("+".join(_attribute(_sequence(pair)) for pair in _elements(relative.content)))
    return ",".join(reversed(parts))[:_MOST_NAME_CHARACTERS]


def _attribute(content: bytes) -> str:
    kind, value = _elements(content)
    if kind.tag != _OID:
        raise ValueError("an attribute without a type")
    oid = _oid(kind.content)
    encoding = _STRINGS.get(value.tag)
    text = value.content.hex() if encoding is None else value.content.decode(encoding, "replace")
    return f"{_ATTRIBUTES.get(oid, oid)}={'#' if encoding is None else ''}{_SPECIAL.sub(_escaped, text)}"


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[1]}"


def _oid(content: bytes) -> str:
    if not content or content[-1] & 0x80:
        raise ValueError("an object identifier without an end")
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _instant(element: _Element) -> int:
    match = _TIME.fullmatch(element.content)
    if match is None or len(match[1]) != _TIME_YEARS.get(element.tag):
        raise ValueError("an instant that is none")
    year, month, day, hour, minute, second = map(int, match.groups())
    if element.tag == _UTC_TIME:
        year += 1900 if year >= _CENTURY_BREAK else 2000
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60 and year > 0):
        raise ValueError("an instant that is none")
    return timegm((year, month, day, hour, minute, second))
