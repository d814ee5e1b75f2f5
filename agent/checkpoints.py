"""The highest audit checkpoint that polls brought, kept where the controller cannot take it back.

`checkpoint.json` in the network process's directory is the envelope as it came: `steward audit verify
--checkpoint` reads it. A checkpoint that contradicts the kept one is counted and does not replace it.
"""

from pathlib import Path

from agent.files import write_atomically
from agent.logs import log
from protocol.checkpoints import Checkpoint, contradictions
from protocol.dsse import parse_envelope
from protocol.errors import ProtocolError

__all__ = ["CheckpointKeeper"]

_MOST_BYTES = 1 << 20


class CheckpointKeeper:
    """Keeps one controller's checkpoint; `seq` is that of `chain`, None as long as none was seen."""

    def __init__(self, path: Path, chain: str) -> None:
        """Read the kept one. A damaged file is put aside and counted as a conflict: it was evidence."""
        self._path = path
        self._chain = chain
        self._kept: Checkpoint | None = None
        self.conflicts = 0
        try:
            with path.open("rb") as handle:
                self._kept = Checkpoint.of(parse_envelope(handle.read(_MOST_BYTES)))
        except FileNotFoundError:
            return
        except ProtocolError as error:
            aside = path.with_suffix(".damaged")
            log("the kept audit checkpoint is damaged", error=str(error), put_aside=str(aside))
            path.replace(aside)
            self.conflicts = 1

    @property
    def seq(self) -> int | None:
        """The number of the chain's entry that the kept checkpoint proves."""
        head = self._kept.heads.get(self._chain) if self._kept else None
        return head.seq if head else None

    def take(self, text: bytes) -> tuple[str, ...]:
        """Compare, and keep what is newer; return the chains that contradict the kept checkpoint.

        Raises ProtocolError where it is no checkpoint, OSError where it cannot be kept.
        """
        envelope = parse_envelope(text)
        told = Checkpoint.of(envelope)
        if self._kept is not None:
            against = contradictions(self._kept, told)
            if against:
                self.conflicts += 1
                return against
            if told.heads == self._kept.heads:
                return ()
        write_atomically(self._path, envelope.encode() + b"\n")
        self._kept = told
        return ()
