"""The answer to a scrape: what was read, as it goes over the wire."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from exporters import packing
from exporters.text import Format


class Packer:
    """Compresses the parts of answers; a part that is the same as last time is compressed once.

    Not for two threads at once, except that `prepare` may run in any.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Format], tuple[bytes, bytes | None]] = {}

    def prepare(self, name: str, wanted: Format, text: bytes) -> None:
        """Compress a part ahead of the answer that it will be in."""
        self.take(name, wanted, text, packing.piece(text))

    def take(self, name: str, wanted: Format, text: bytes, blocks: bytes) -> None:
        """Take a part that was compressed ahead."""
        self._kept[name, wanted] = (text, blocks)

    def pack(self, parts: Sequence[tuple[str, bytes]], wanted: Format) -> bytes:
        """One gzip stream of the parts, each a name and its text."""
        pieces: list[tuple[bytes, bytes]] = []
        changed: list[bytes] = []
        for name, text in parts:
            blocks = self._blocks(name, wanted, text)
            if blocks is None:
                changed.append(text)
                continue
            if changed:
                pieces.append(_together(changed))
                changed = []
            pieces.append((text, blocks))
        if changed:
            pieces.append(_together(changed))
        return packing.join(pieces)

    def _blocks(self, name: str, wanted: Format, text: bytes) -> bytes | None:
        """The compressed part, None where the text is new."""
        before, blocks = self._kept.get((name, wanted), (None, None))
        if before != text:
            self._kept[name, wanted] = (text, None)
            return None
        if blocks is None:
            blocks = packing.piece(text)
            self._kept[name, wanted] = (text, blocks)
        return blocks


@dataclass(frozen=True)
class Reading:
    """The parts of an answer by name, in the order in which they stand, all in one format."""

    format: Format
    parts: Sequence[tuple[str, bytes]]
    packer: Packer

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return sum(len(text) for _, text in self.parts)

    @cached_property
    def text(self) -> bytes:
        """The text, put together at the first call."""
        return b"".join([text for _, text in self.parts])

    @cached_property
    def gzipped(self) -> bytes:
        """The text in gzip's format, made at the first call."""
        return self.packer.pack(self.parts, self.format)


def _together(texts: list[bytes]) -> tuple[bytes, bytes]:
    text = b"".join(texts)
    return text, packing.piece(text)
