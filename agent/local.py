"""An operator at the host: deliver by hand, ask the executor, show and install trust."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, cast

import msgspec

from agent import verbs
from agent.configuration import Loaded, load
from agent.errors import AgentError, ExecutorUnavailableError
from agent.executor_client import ask
from protocol.documents import Receipt, TrustBundle
from protocol.dsse import parse_envelope
from protocol.errors import ProtocolError, Refusal
from protocol.wire import decode_json

__all__ = ["deliver", "status", "trust_install", "trust_show"]

_DONE, _FAILED, _REFUSED = 0, 1, 3


def deliver(config: Path, delivery: bytes, wait_seconds: float, *, as_json: bool) -> int:
    """Hand a delivery to the executor; print what it says and the receipt; return the exit status."""
    loaded = load(config, os.environ)
    answered = ask(Path(loaded.settings.socket), verbs.Deliver(delivery, wait_seconds))
    if answered.error:
        raise AgentError(answered.error)
    said: dict[str, Any] = {"state": answered.state}
    for name in ("reason", "detail", "action_id", "action_sha256"):
        if value := getattr(answered, name):
            said[name] = value
    for envelope in answered.receipts:
        receipt = Receipt.from_payload(parse_envelope(envelope).payload)
        said["receipt"] = msgspec.to_builtins(receipt)
    outcome = said.get("receipt", {}).get("outcome", "")
    if as_json:
        _print(said)
    else:
        sys.stdout.write(_sentence(answered, said.get("receipt", {})) + "\n")
    if answered.state == "refused":
        return _REFUSED
    return {"done": _DONE, "refused": _REFUSED, "expired": _REFUSED}.get(outcome, _FAILED)


def _sentence(answered: verbs.Answered, receipt: dict[str, Any]) -> str:
    """What happened, for people: the ending, why, and which receipt proves it."""
    reason = answered.reason or receipt.get("reason", "")
    ending = receipt.get("outcome") or answered.state
    parts = [f"{ending}: {reason}" if reason else ending]
    if answered.detail:
        parts.append(answered.detail)
    if receipt.get("result"):
        parts.append(", ".join(f"{name} {value}" for name, value in receipt["result"].items()))
    if receipt:
        parts.append(f"receipt {receipt['seq']} of host {receipt['host_id']}")
    return "\n  ".join(parts)


def status(config: Path) -> int:
    """Print what the executor says of itself."""
    _print(_status(load(config, os.environ)))
    return _DONE


def trust_show(config: Path) -> int:
    """Print version, expiry and pins of the installed trust."""
    _print(_status(load(config, os.environ))["trust"])
    return _DONE


def trust_install(config: Path, data: bytes) -> int:
    """Continue the chain of trust from a bundle or a single envelope; return the exit status.

    Through the executor where one answers; else, as its user, by the same code in this process.
    """
    steps, approvers = _steps(data)
    loaded = load(config, os.environ)
    try:
        answered = ask(Path(loaded.settings.socket), verbs.InstallTrust(steps, approvers))
        refused = answered.error
    except ExecutorUnavailableError:
        refused = _install_here(config, steps, approvers)
    if refused:
        sys.stderr.write(f"steward-agent: {refused}\n")
        return _REFUSED
    _print(_status(loaded)["trust"])
    return _DONE


def _install_here(config: Path, steps: list[verbs.EnvelopeText], approvers: verbs.EnvelopeText | None) -> str:
    from agent.executor import assemble

    assembled = assemble(config, os.environ, lambda: int(time.time()))
    try:
        assembled.execution.install_trust(steps, approvers)
    except Refusal as refusal:
        return str(refusal)
    except ProtocolError as error:
        raise AgentError(str(error)) from error
    finally:
        assembled.close()
    return ""


def _status(loaded: Loaded) -> dict[str, Any]:
    """Ask the executor or, where none answers, look for ourselves; raises AgentError."""
    try:
        answered = ask(Path(loaded.settings.socket), verbs.AskStatus())
    except ExecutorUnavailableError:
        from agent.executor import assemble

        assembled = assemble(loaded.path, os.environ, lambda: int(time.time()))
        try:
            return assembled.execution.status()
        finally:
            assembled.close()
    told: dict[str, Any] = msgspec.to_builtins(answered.status)
    return told


def _steps(data: bytes) -> tuple[list[verbs.EnvelopeText], verbs.EnvelopeText | None]:
    try:
        told = decode_json(data)
        if isinstance(told, dict) and "payload" in told:
            return [verbs.envelope_text(told)], None
        bundle = TrustBundle.parse(cast("dict[str, object]", told))
    except ProtocolError as error:
        raise AgentError(f"neither a trust bundle nor a signed trust document: {error}") from error
    approvers = verbs.envelope_text(bundle.approvers) if bundle.approvers is not None else None
    return [verbs.envelope_text(step) for step in bundle.trust], approvers


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")
