"""Cases of the action itself: encoding, fields, host, time, kind, arguments, order."""

from __future__ import annotations

from typing import Any

from protocol import canonical, dsse
from tests.protocol.scene import (
    ABSENT,
    ACTION_ID,
    DAY,
    HOST,
    NOW,
    OTHER_HOST,
    Case,
    action,
    action_fields,
    deliver,
    envelope,
    state,
)

BASE = Case("action", "accepted")
RECURRENCE = {"at": ["02:00", "14:30"], "days": ["mon", "fri"], "jitter": 1800, "time_zone": "Europe/Paris"}
LIMITS = {
    "kinds": {
        "host.ping": {},
        "service.restart": {"units": ["web", "db-*"]},
        "service.stop": {},
        "account.lock": {"accounts": ["*"]},
        "backup.run": {"sets": ["etc"], "repositories": ["local"]},
        "shell.run": {},
    }
}


def cases() -> list[Case]:
    """All of them."""
    return [*encodings(), *payloads(), *recurrences(), *hosts(), *times(), *kinds(), *memories()]


def signed_bytes(payload: bytes) -> str:
    """A delivery of whatever bytes, signed by the controller."""
    return deliver(envelope(payload, dsse.ACTION, "controller"))


def many(prefix: str, expect: str, fields: dict[str, dict[str, Any]], **changes: Any) -> list[Case]:
    """One case for each set of changed fields, all with one outcome."""
    return [
        BASE.but(f"{prefix}_{name}", expect, delivery=action(**changed), **changes)
        for name, changed in fields.items()
    ]


def encodings() -> list[Case]:
    """Signed payloads that are not canonical, or nest too deep, or hold too great a number."""
    good = canonical.encode(action_fields())
    text = good.decode()
    other = {
        "no_json": b"steward",
        "empty": b"",
        "white_space": good.replace(b":", b": ", 1),
        "trailing_newline": good + b"\n",
        "unsorted": b'{"seq":7,' + good[1:].replace(b'"seq":7,', b""),
        "duplicate_key": good[:-1] + b',"trust_version":1}',
        "duplicate_key_at_depth": good.replace(b'"args":{}', b'"args":{"a":1,"a":1}'),
        "raw_utf8": text.replace('"args":{}', '"args":{"a":"é"}').encode(),
        "escape_not_needed": good.replace(b"host.ping", b"host\\u002eping"),
        "escape_upper_case": good.replace(b'"args":{}', b'"args":{"a":"\\u00E9"}'),
        "escaped_slash": good.replace(b'"args":{}', b'"args":{"a":"\\/"}'),
        "lone_surrogate": good.replace(b'"args":{}', b'"args":{"a":"\\ud800"}'),
        "float": good.replace(b'"seq":7', b'"seq":7.0'),
        "exponent": good.replace(b'"seq":7', b'"seq":7e0'),
        "minus_zero": good.replace(b'"seq":7', b'"seq":-0'),
        "leading_zero": good.replace(b'"seq":7', b'"seq":07'),
        "nan": good.replace(b'"seq":7', b'"seq":NaN'),
        "float_in_args": good.replace(b'"args":{}', b'"args":{"a":0.5}'),
        "utf16": text.encode("utf-16-le"),
    }
    deep = b'{"a":' * 40 + b"{}" + b"}" * 40
    beyond = {
        "nested_deep": good.replace(b"{}", deep),
        "nested_very_deep": good.replace(b"{}", b"[" * 20_000 + b"]" * 20_000),
        "integer_of_54_bits": good.replace(b'"seq":7', b'"seq":9007199254740992'),
        "integer_of_6000_digits": good.replace(b'"seq":7', b'"seq":' + b"9" * 6000),
    }
    return [
        *(BASE.but(f"encoding_{n}", "not_canonical", delivery=signed_bytes(p)) for n, p in other.items()),
        *(BASE.but(f"encoding_{n}", "bad_payload", delivery=signed_bytes(p)) for n, p in beyond.items()),
        BASE.but("encoding_integer_of_53_bits", "accepted", delivery=action(seq=2**53 - 1)),
    ]


def payloads() -> list[Case]:
    """Canonical payloads that are no action."""
    wrong = {
        "unknown_field": {"note": ""},
        "without_seq": {"seq": ABSENT},
        "without_policy_commit": {"policy_commit": ABSENT},
        "id_lower_case": {"id": ACTION_ID.lower()},
        "id_short": {"id": ACTION_ID[:-1]},
        "id_with_newline": {"id": ACTION_ID + "\n"},
        "id_overflows_128_bits": {"id": "8" + ACTION_ID[1:]},
        "id_with_letter_u": {"id": ACTION_ID[:-1] + "U"},
        "host_id_no_ulid": {"host_id": "web-01"},
        "time_negative": {"not_before": -1, "issued_at": -1},
        "time_as_text": {"expires_at": str(NOW)},
        "time_as_boolean": {"seq": True},
        "args_list": {"args": []},
        "kind_number": {"kind": 1},
        "null_request": {"request_sha256": None},
        "null_in_args": {"args": {"a": None}},
        "request_hash_upper_case": {"request_sha256": "AB" * 32},
        "trust_version_zero": {"trust_version": 0},
    }
    return [
        *many("payload", "bad_payload", wrong),
        BASE.but("payload_list", "bad_payload", delivery=signed_bytes(b"[]")),
        BASE.but("payload_number", "bad_payload", delivery=signed_bytes(b"1")),
    ]


def recurrences() -> list[Case]:
    """Standing orders."""
    wrong = {
        "at_empty": {"at": []},
        "at_24_hours": {"at": ["24:00"]},
        "at_without_zero": {"at": ["2:00"]},
        "at_twice": {"at": ["02:00", "02:00"]},
        "day_unknown": {"days": ["monday"]},
        "days_empty": {"days": []},
        "day_twice": {"days": ["mon", "mon"]},
        "jitter_negative": {"jitter": -1},
        "jitter_of_a_day": {"jitter": DAY},
        "time_zone_path": {"time_zone": "../etc/passwd"},
        "time_zone_empty": {"time_zone": ""},
        "unknown_field": {"every": 5},
    }
    return [
        *many(
            "recurrence",
            "bad_payload",
            {n: {"recurrence": RECURRENCE | change} for n, change in wrong.items()},
        ),
        *many("recurrence", "accepted", {"for_eight_days": standing(8 * DAY)}),
        *many("recurrence", "bad_window", {"for_longer": standing(8 * DAY + 1)}),
    ]


def standing(seconds: int) -> dict[str, Any]:
    """Fields of a standing order that is valid for so long."""
    return {"recurrence": RECURRENCE, "expires_at": NOW - 5 + seconds}


def hosts() -> list[Case]:
    """For whom, and under which trust."""
    return [
        BASE.but("host_another", "wrong_host", host_id=OTHER_HOST),
        *many("host", "wrong_host", {"action_for_another": {"host_id": OTHER_HOST}}),
        *many("trust", "trust_version_ahead", {"version_ahead": {"trust_version": 2}}),
        *many("host", "wrong_host", {"before_time": {"host_id": OTHER_HOST, "expires_at": 0}}),
    ]


def times() -> list[Case]:
    """Windows, skew, high water, floor."""
    return [
        BASE.but("time_clock_91_behind", "clock_went_back", state=state(high_water=NOW + 91)),
        BASE.but("time_clock_90_behind", "accepted", state=state(high_water=NOW + 90)),
        *many(
            "window",
            "bad_window",
            {
                "issued_after_start": {"issued_at": NOW, "not_before": NOW - 1},
                "empty": {"expires_at": NOW - 5},
                "ends_before_start": {"expires_at": NOW - 6},
                "of_3601_seconds": {"expires_at": NOW - 5 + 3601},
            },
        ),
        *many("window", "accepted", {"of_an_hour": {"expires_at": NOW - 5 + 3600}}),
        *many(
            "time",
            "not_yet_valid",
            {
                "starts_in_91_seconds": {"not_before": NOW + 91},
                "issued_in_91_seconds": {"issued_at": NOW + 91, "not_before": NOW + 91},
            },
        ),
        *many("time", "accepted", {"starts_in_90_seconds": {"not_before": NOW + 90}}),
        *many("time", "expired", {"expired_91_ago": ended(91)}),
        *many("time", "accepted", {"expired_90_ago": ended(90)}),
        BASE.but("time_at_the_floor", "expired", state=state(floor=NOW + 390)),
        BASE.but("time_above_the_floor", "accepted", state=state(floor=NOW + 389)),
    ]


def ended(seconds: int) -> dict[str, Any]:
    """Fields of an action that expired so long ago."""
    return {"issued_at": NOW - 600, "not_before": NOW - 600, "expires_at": NOW - seconds}


def kinds() -> list[Case]:
    """What may be done: known, allowed, with arguments of the kind and within the limits."""
    web, backup = {"unit": "web"}, {"set": "etc", "repository": "local"}
    accepted = {
        "restart": {"kind": "service.restart", "args": web},
        "restart_by_prefix": {"kind": "service.restart", "args": {"unit": "db-main"}},
        "lock": {"kind": "account.lock", "args": {"account": "jo"}},
        "backup": {"kind": "backup.run", "args": backup},
    }
    refused = {
        "unknown_kind": {
            "shell": {"kind": "shell.run"},
            "empty": {"kind": ""},
            "upper_case": {"kind": "HOST.PING"},
            "family": {"kind": "service"},
            "pattern": {"kind": "service.*", "args": web},
        },
        "kind_not_allowed": {
            "remove": {"kind": "account.remove", "args": {"account": "jo"}},
            "start_with_bad_args": {"kind": "service.start", "args": {}},
        },
        "bad_args": {
            "ping_with_args": {"args": {"unit": "web"}},
            "without_unit": {"kind": "service.restart"},
            "unit_number": {"kind": "service.restart", "args": {"unit": 1}},
            "unit_unknown_field": {"kind": "service.restart", "args": web | {"force": True}},
            "unit_pattern": {"kind": "service.restart", "args": {"unit": "*"}},
            "unit_option": {"kind": "service.restart", "args": {"unit": "--all"}},
            "unit_path": {"kind": "service.restart", "args": {"unit": "../web"}},
            "unit_newline": {"kind": "service.restart", "args": {"unit": "web\n"}},
            "account_upper_case": {"kind": "account.lock", "args": {"account": "Root"}},
            "backup_address": {"kind": "backup.run", "args": backup | {"repository": "s3:https://evil"}},
            "backup_without_set": {"kind": "backup.run", "args": {"repository": "local"}},
        },
        "args_not_allowed": {
            "other_unit": {"kind": "service.restart", "args": {"unit": "web2"}},
            "shorter_than_prefix": {"kind": "service.restart", "args": {"unit": "db"}},
            "nothing_listed": {"kind": "service.stop", "args": web},
            "other_repository": {"kind": "backup.run", "args": backup | {"repository": "remote"}},
            "other_set": {"kind": "backup.run", "args": backup | {"set": "srv"}},
        },
    }
    found = many("kind", "accepted", accepted, limits=LIMITS)
    for reason, fields in refused.items():
        found += many("args" if "args" in reason else "kind", reason, fields, limits=LIMITS)
    return [
        *found,
        BASE.but("kind_default_limits_allow_ping", "accepted", limits={}),
        BASE.but("kind_ping_not_allowed", "kind_not_allowed", limits={"kinds": {}}),
    ]


def memories() -> list[Case]:
    """Nonce and sequence."""
    backup = {"kind": "backup.run", "args": {"set": "etc", "repository": "local"}}
    seen = state(seen=[ACTION_ID])
    return [
        BASE.but("memory_replayed", "replayed", state=seen),
        BASE.but("memory_replayed_before_superseded", "replayed", state=seen | {"last_seq": {"host": 9}}),
        BASE.but("memory_seq_equal", "superseded", state=state(last_seq={"host": 7})),
        BASE.but("memory_seq_older", "superseded", state=state(last_seq={"host": 8})),
        BASE.but("memory_seq_next", "accepted", state=state(last_seq={"host": 6})),
        BASE.but("memory_seq_of_another_resource", "accepted", state=state(last_seq={"host:web": 9})),
        *many(
            "memory",
            "superseded",
            {"seq_of_a_set": backup},
            limits=LIMITS,
            state=state(last_seq={"backup:etc": 7}),
        ),
        *many(
            "memory",
            "accepted",
            {"seq_of_another_set": backup},
            limits=LIMITS,
            state=state(last_seq={"backup:srv": 7}),
        ),
        BASE.but("memory_expired_before_replayed", "expired", delivery=action(**ended(91)), state=seen),
        BASE.but("memory_wrong_host_before_replayed", "wrong_host", host_id=OTHER_HOST, state=seen),
        BASE.but("memory_of_other_ids", "accepted", state=state(seen=[HOST])),
    ]
