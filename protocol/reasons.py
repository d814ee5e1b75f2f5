"""The reasons for which a delivery is refused, in the order in which they can arise."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """One refusal reason of the specification; the members stand in the order of the checks."""

    TOO_LARGE = "too_large"
    MALFORMED_ENVELOPE = "malformed_envelope"
    WRONG_PAYLOAD_TYPE = "wrong_payload_type"
    TRUST_UNKNOWN_ROOT = "trust_unknown_root"
    TRUST_BROKEN_CHAIN = "trust_broken_chain"
    TRUST_ROLLED_BACK = "trust_rolled_back"
    TRUST_EXPIRED = "trust_expired"
    UNTRUSTED_KEY = "untrusted_key"
    BAD_SIGNATURE = "bad_signature"
    NOT_CANONICAL = "not_canonical"
    BAD_PAYLOAD = "bad_payload"
    WRONG_HOST = "wrong_host"
    TRUST_VERSION_AHEAD = "trust_version_ahead"
    CLOCK_WENT_BACK = "clock_went_back"
    BAD_WINDOW = "bad_window"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    UNKNOWN_KIND = "unknown_kind"
    KIND_NOT_ALLOWED = "kind_not_allowed"
    BAD_ARGS = "bad_args"
    ARGS_NOT_ALLOWED = "args_not_allowed"
    REQUEST_MISSING = "request_missing"
    REQUEST_MISMATCH = "request_mismatch"
    REQUEST_BAD_SIGNATURE = "request_bad_signature"
    APPROVERS_EXPIRED = "approvers_expired"
    APPROVALS_MISSING = "approvals_missing"
    REQUEST_ALREADY_RUN = "request_already_run"
    REPLAYED = "replayed"
    SUPERSEDED = "superseded"
    JOURNAL_UNUSABLE = "journal_unusable"
    RESOURCES_EXHAUSTED = "resources_exhausted"

    @property
    def after_signature(self) -> bool:
        """Whether the controller's signature held before this check, so that a refusal gives a receipt."""
        return self not in _BEFORE_SIGNATURE


_ORDER = tuple(Reason)
_BEFORE_SIGNATURE = frozenset(_ORDER[: _ORDER.index(Reason.NOT_CANONICAL)])
