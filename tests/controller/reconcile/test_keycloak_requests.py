"""How many requests an empty plan of a whole realm costs: by pages and roles, never by person."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from controller.plan.change import Result
from tests.controller.stage import policy_of, staged

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE, TEAMS, PROVIDERS, CLIENTS = 1000, 20, 3, 20
MOST = 70


def company() -> str:
    providers = ", ".join(
        f"p{n}: {{type: google, client_id: x, by_email: link, trust_email: true}}" for n in range(PROVIDERS)
    )
    lines = [f"realm:\n  name: acme\n  default_roles: [viewer]\n  identity_providers: {{{providers}}}"]
    lines += ["roles:", "  viewer: {}", "  operator: {includes: [viewer]}", "teams:", "  t0: {}"]
    lines += [f"  t{n}: {{parent: t{n - 1}, roles: [viewer]}}" for n in range(1, TEAMS)]
    lines += ["clients:", *(f'  c{n}: {{redirect: ["https://c{n}.example.org/*"]}}' for n in range(CLIENTS))]
    lines += ["users:"]
    lines += [
        f"  user{n}: {{email: user{n}@example.org, roles: [operator], teams: [t{n % TEAMS}]}}"
        for n in range(PEOPLE)
    ]
    return "\n".join(lines) + "\n"


def test_an_empty_plan_costs_requests_by_page_and_never_by_object(tmp_path: Path) -> None:
    policy = policy_of(company())
    with staged(tmp_path) as stage:
        assert {one.result for one in stage.apply(policy)} == {Result.APPLIED}
        before = Counter(stage.requests)
        assert stage.plan(policy).plan.is_empty
        made = Counter(stage.requests) - before
    assert sum(made.values()) <= MOST, made
    assert max(number for path, number in made.items() if "/users/{user}" in path) <= 2, made  # our rights
