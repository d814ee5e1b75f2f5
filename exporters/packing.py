"""gzip (RFC 1952) put together of pieces that were compressed apart.

A text that does not change from scrape to scrape is compressed once. Each piece is a run of deflate blocks
that ends at a byte and refers to nothing before it (Z_FULL_FLUSH, zlib manual), so pieces joined in any order
are one deflate stream; only the checksum at the end goes over the whole text.
"""

import zlib
from collections.abc import Iterable
from struct import pack

_LEVEL = 1  # fast rather than small: the fastest level already takes nine tenths off
_RAW = -15  # deflate without header and trailer, 32 KiB of window
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # no name, no time, fastest level, system unknown
_LAST_BLOCK = b"\x03\x00"  # an empty block that says that it is the last one


def piece(text: bytes) -> bytes:
    """`text` as blocks that can stand anywhere in a stream."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)


def join(pieces: Iterable[tuple[bytes, bytes]]) -> bytes:
    """One gzip stream of pieces, each given with its text."""
    packed = [_HEAD]
    checksum = size = 0
    for text, blocks in pieces:
        checksum = zlib.crc32(text, checksum)
        size += len(text)
        packed.append(blocks)
    packed += (_LAST_BLOCK, pack("<II", checksum, size & 0xFFFFFFFF))
    return b"".join(packed)
