"""The published vectors: complete, reproducible, and answered by our verifier as they say."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from protocol.reasons import Reason
from protocol.vector import ACCEPTED, Vector
from tests.protocol.make_vectors import FOLDER, all_cases, render

CASES = all_cases()
AT_RUN_TIME_ONLY = {Reason.JOURNAL_UNUSABLE, Reason.RESOURCES_EXHAUSTED}


def test_case_names_are_distinct() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


def test_no_two_cases_are_the_same() -> None:
    inputs = Counter(
        json.dumps(case.as_json() | {"name": "", "expect": ""}, sort_keys=True) for case in CASES
    )
    assert [text[:300] for text, count in inputs.items() if count > 1] == []


def test_the_published_files_are_exactly_what_the_cases_give() -> None:
    published = {path.name: path.read_text("ascii") for path in FOLDER.glob("*.json")}
    assert published.keys() == {f"{case.name}.json" for case in CASES}
    assert [case.name for case in CASES if published[f"{case.name}.json"] != render(case)] == []


def test_every_reason_is_covered_and_refusals_are_the_majority() -> None:
    outcomes = Counter(case.expect for case in CASES)
    assert set(outcomes) == {ACCEPTED, *(set(Reason) - AT_RUN_TIME_ONLY)}
    assert outcomes.total() >= 60
    assert outcomes[ACCEPTED] * 2 < outcomes.total()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verifier_answers_as_published(case) -> None:
    vector = Vector.parse(render(case).encode())
    assert vector.run() == case.expect
