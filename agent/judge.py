"""The executor's judgement: a delivery against the trust, agent.yaml, clock and journal of this moment."""

from collections.abc import Callable, Container
from dataclasses import dataclass

from agent.configuration import Loaded
from agent.errors import ConfigurationError
from agent.journal import Journal
from agent.logs import log
from agent.trust_store import TrustStore
from protocol.documents import Delivery, Limits, Request, VerifierState
from protocol.errors import ProtocolError
from protocol.reasons import Reason
from protocol.verify import Accepted, Refused, verify

__all__ = ["Judge", "Judgement", "action_id", "refuse_after_all", "request_until"]

_NOTHING = Limits(kinds={})
_NO_FILE = "0" * 64
"""Stands in receipts for the hash of an agent.yaml that could not be read."""


@dataclass(frozen=True)
class Judgement:
    """The verifier's verdict, and the settings that it was found under (None: agent.yaml is unusable)."""

    verdict: Accepted | Refused
    loaded: Loaded | None

    @property
    def limits_sha256(self) -> str:
        """Hash of agent.yaml, for the receipt."""
        return self.loaded.sha256 if self.loaded else _NO_FILE


class Judge:
    """Asks protocol.verify; reads agent.yaml anew each time, so a tightened limit counts at once."""

    def __init__(
        self,
        *,
        host_id: str,
        load_settings: Callable[[], Loaded],
        trust: TrustStore,
        kinds: Container[str],
        clock: Callable[[], int],
    ) -> None:
        """`kinds` are those that this agent can do."""
        self._host_id = host_id
        self._load_settings = load_settings
        self._trust = trust
        self._kinds = kinds
        self._clock = clock

    def judge(self, delivery: bytes, journal: Journal) -> Judgement:
        """Decide about a delivery; an agent.yaml that cannot be read allows nothing."""
        loaded, limits = self._limits()
        memory = journal.memory
        verdict = verify(
            delivery,
            bundle=self._trust.trust,
            limits=limits,
            host_id=self._host_id,
            now=self._clock(),
            state=VerifierState(
                high_water=memory.high_water,
                floor=memory.floor,
                trust_version=memory.trust_version,
                seen=memory.seen.keys(),
                last_seq=memory.last_seq,
                requests_run=memory.requests.keys(),
            ),
        )
        if isinstance(verdict, Accepted) and verdict.action.kind not in self._kinds:
            detail = f"this agent cannot do {verdict.action.kind}"
            return Judgement(refuse_after_all(verdict, Reason.UNKNOWN_KIND, detail), loaded)
        if isinstance(verdict, Accepted) and verdict.action.recurrence is not None:
            # To run it once, now, would be something else than what was signed.
            detail = "this agent does not fire standing orders yet"
            return Judgement(refuse_after_all(verdict, Reason.KIND_NOT_ALLOWED, detail), loaded)
        return Judgement(verdict, loaded)

    def _limits(self) -> tuple[Loaded | None, Limits]:
        try:
            loaded = self._load_settings()
            return loaded, Limits.parse(loaded.settings.limits)
        except (ConfigurationError, ProtocolError) as error:
            log("agent.yaml is unusable, nothing is allowed", error=str(error))
            return None, _NOTHING


def refuse_after_all(accepted: Accepted, reason: Reason, detail: str) -> Refused:
    """Refuse what the verifier accepted, for a reason that only this host can know."""
    return Refused(reason, detail, reason.after_signature, accepted.action_sha256, accepted.action)


def action_id(verdict: Accepted | Refused) -> str:
    """Return the action's id where the verdict knows it, else nothing."""
    return verdict.action.id if verdict.action else ""


def request_until(delivery: bytes) -> int:
    """Return the end of an accepted delivery's request window, 0 where it came without a request."""
    request = Delivery.parse(delivery).request
    return Request.from_payload(request.payload).until if request else 0
