"""The executor's own copy of the trust: continued by the chain alone, never on anybody's word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError
from agent.files import write_atomically
from protocol.documents import TrustBundle
from protocol.errors import ProtocolError
from protocol.trust import TrustSet, advance, walk_chain

__all__ = ["TrustStore", "TrustView", "describe"]


@dataclass(frozen=True)
class TrustView:
    """What others may know of the installed trust; times are Unix seconds."""

    version: int
    expires_at: int
    approvers_version: int
    ca_pins: tuple[str, ...]


class TrustStore:
    """trust.json in the executor's directory, and what its chain amounts to."""

    def __init__(self, path: Path) -> None:
        """Read and walk the chain; raises AgentError where it is missing or does not hold."""
        self._path = path
        try:
            self._bundle = TrustBundle.parse(path.read_bytes())
            self.trust: TrustSet = walk_chain(self._bundle)
        except OSError as error:
            raise AgentError(f"{path}: {error.strerror}") from error
        except ProtocolError as error:
            raise AgentError(f"{path}: {error}") from error

    def install(
        self,
        steps: Sequence[Mapping[str, object]],
        approvers: Mapping[str, object] | None,
        *,
        known_approvers: int,
    ) -> TrustView:
        """Continue the chain and take newer approvers, durably; return what holds now.

        Steps that the chain has already are skipped. Raises Refusal (a ProtocolError) where a step does not
        hold or the approvers are older than `known_approvers`; nothing changes then. Whether the end of the
        chain has expired is asked at each action, not here: a revocation counts even when it comes late.
        """
        held = {step.get("payload") for step in self._bundle.trust}
        fresh = [step for step in steps if step.get("payload") not in held]
        if not fresh and approvers == self._bundle.approvers:
            return describe(self.trust)
        bundle, trust = advance(self._bundle, fresh, approvers, known_approvers=known_approvers)
        if bundle == self._bundle:
            return describe(self.trust)
        write_atomically(self._path, bundle.encode())
        self._bundle, self.trust = bundle, trust
        return describe(trust)


def describe(trust: TrustSet) -> TrustView:
    """Return what is worth telling of a trust set."""
    approvers = trust.approvers
    return TrustView(
        trust.version, trust.expires_at, approvers.version if approvers else 0, tuple(trust.ca_pins)
    )
