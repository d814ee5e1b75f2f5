"""Differences as `patch` takes them: applied to what was, they give what is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.editing.differences import difference

if TYPE_CHECKING:
    from pathlib import Path

_LINES = st.lists(st.sampled_from([f"line {number}" for number in range(9)] + ["same", ""]), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_LINES, _LINES, st.booleans())
def test_a_difference_turns_one_text_into_the_other(
    tmp_path: Path, before: list[str], after: list[str], is_near: bool
) -> None:
    if is_near:
        after = [*before[:7], "new", *before[8:20], *before[21:], "last"]
    one, other = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    text = difference(one, other, "people.yaml")
    (tmp_path / "people.yaml").write_text(one)
    if one == other:
        assert text == ""
        return
    command = ["git", "apply", "--unidiff-zero", "--whitespace=nowarn", "-"]
    done = subprocess.run(command, cwd=tmp_path, input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, (text, done.stderr)
    path = tmp_path / "people.yaml"
    assert (path.read_text() if path.exists() else "") == other


def test_the_form_that_people_know() -> None:
    one = "".join(f"{number}\n" for number in range(20))
    assert difference(one, one.replace("9\n", "nine\n", 1), "/a/b.yaml") == (
        "--- a/a/b.yaml\n+++ b/a/b.yaml\n@@ -7,7 +7,7 @@\n 6\n 7\n 8\n-9\n+nine\n 10\n 11\n 12\n"
    )
    assert difference(None, "a\n", "x") == "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n"
    assert difference("a", "a\n", "x").endswith("-a\n\\ No newline at end of file\n+a\n")
