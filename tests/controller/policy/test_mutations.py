"""A valid folder with several mistakes put into it: each is reported at its own place, and nothing else is.

The folder is written line by line from a small model; a mistake replaces one value, or adds one line, and
remembers where it put it. What the parser reports must be exactly those places.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.policy import PolicyErrors, parse

STEADY = settings(max_examples=300, deadline=None, derandomize=True)

ROLES = ("viewer", "power-user", "auditor")
USERS = ("ada", "bo.li", "chen", "dora-9", "eve_x", "finn")
MACHINES = ("web-01", "db-01", "gpu-01")
FILES = ("prod/machines.yaml", "prod/people.yaml", "prod/policy.yaml", "prod/roles.yaml", "prod/zz-more.yaml")


@dataclass(frozen=True)
class Mistake:
    """Replaces the value at `slot` by `text`, or adds the line `text` there; `@` marks the place to report.

    `words` must occur in the message. `first_in` is the file with the other half of a duplicate,
    `needs` the slot of that half: with a mistake there, too, there is no duplicate.
    """

    slot: str
    text: str
    words: str
    first_in: str = ""
    needs: str = ""


@dataclass
class Folder:
    """Collects lines, and the places of the mistakes in them."""

    mistakes: dict[str, Mistake]
    lines: dict[str, list[str]] = field(default_factory=lambda: {file: [] for file in FILES})
    expected: list[tuple[str, int, int, Mistake]] = field(default_factory=list)

    def line(self, file: str, text: str) -> None:
        self.lines[file].append(text)

    def value(self, file: str, slot: str, before: str, value: str, after: str = "") -> None:
        """A line with a value that a mistake may replace."""
        mistake = self.mistakes.get(slot)
        self._put(file, before, mistake.text if mistake else value, after, mistake)

    def extra(self, file: str, slot: str, indent: str) -> None:
        """A place where a mistake may add a line."""
        mistake = self.mistakes.get(slot)
        if mistake:
            self._put(file, indent, mistake.text, "", mistake)

    def _put(self, file: str, before: str, text: str, after: str, mistake: Mistake | None) -> None:
        if mistake:
            place = text.index("@@")
            text = text.replace("@@", "", 1)
            self.expected.append((file, len(self.lines[file]) + 1, len(before) + place + 1, mistake))
        self.line(file, before + text + after)

    def files(self) -> dict[str, bytes]:
        return {name: "\n".join((*lines, "")).encode() for name, lines in self.lines.items()}


def write(mistakes: list[Mistake]) -> Folder:
    folder = Folder({mistake.slot: mistake for mistake in mistakes})
    _write_policy(folder, "prod/policy.yaml")
    _write_roles(folder, "prod/roles.yaml")
    _write_people(folder, "prod/people.yaml")
    _write_machines(folder, "prod/machines.yaml")
    folder.line("prod/zz-more.yaml", "users:")
    folder.line("prod/zz-more.yaml", "  zoe: {first_name: Zoe}")
    folder.extra("prod/zz-more.yaml", "more", "  ")
    folder.extra("prod/zz-more.yaml", "more section", "")
    return folder


def _write_policy(folder: Folder, file: str) -> None:
    folder.line(file, "version: 1")
    folder.value(file, "owner", "owner: ", "prod")
    folder.line(file, "limits:")
    folder.value(file, "delete_after", "  delete_after: ", "30d")
    folder.line(file, "  max_deletes:")
    folder.value(file, "count", "    count: ", "5")
    folder.value(file, "share", "    share: ", "10%")
    folder.value(file, "mode", "modes: {users: ", "enforce", "}")


def _write_roles(folder: Folder, file: str) -> None:
    folder.line(file, "roles:")
    for role in ROLES:
        folder.line(file, f"  {role}:")
        folder.value(file, f"{role} description", "    description: ", "some role")
        folder.value(file, f"{role} privileges", "    proxmox: ", "[VM.Audit, VM.Console]")
        folder.value(file, f"{role} api", "    api: ", "['vm:read']")
        folder.extra(file, f"{role} extra", "    ")


def _write_people(folder: Folder, file: str) -> None:
    folder.line(file, "users:")
    for number, user in enumerate(USERS):
        folder.line(file, f"  {user}:")
        folder.value(file, f"{user} email", "    email: ", f"{user}@example.org")
        folder.value(file, f"{user} name", "    first_name: ", "Someone")
        folder.value(
            file, f"{user} roles", "    roles: [", ROLES[number % 3], ", viewer]" if number % 3 else "]"
        )
        folder.value(file, f"{user} state", "    state: ", "active")
        folder.value(file, f"{user} expires", "    expires: ", "2027-01-31")
        folder.extra(file, f"{user} extra", "    ")


def _write_machines(folder: Folder, file: str) -> None:
    folder.line(file, "machines:")
    for number, machine in enumerate(MACHINES):
        folder.line(file, f"  {machine}:")
        folder.value(file, f"{machine} vmid", "    vmid: ", str(101 + number))
        folder.line(file, "    assigned:")
        folder.line(file, "      users:")
        folder.value(file, f"{machine} user", "        ", f"{USERS[number]}: viewer")
        folder.value(file, f"{machine} role", f"        {USERS[number + 3]}: ", ROLES[number])
    folder.extra(file, "machines extra", "  ")


def _user_mistakes(user: str) -> list[Mistake]:
    other = USERS[(USERS.index(user) + 1) % len(USERS)]
    return [
        Mistake(f"{user} email", "@@not an address", "is not an e-mail address"),
        Mistake(f"{user} email", "@@17", "must be a text"),
        Mistake(f"{user} email", "@@[a@example.org]", "must be a text"),
        Mistake(f"{user} email", "@@&a mail@example.org", "anchors"),
        Mistake(f"{user} name", "@@*a", "aliases"),
        Mistake(f"{user} name", "@@!!str Someone", "tags"),
        Mistake(f"{user} name", "@@true", 'write "true" in quotes'),
        Mistake(f"{user} name", "@@<script>", "Keycloak refuses"),
        Mistake(f"{user} roles", "@@viewr", 'unknown role "viewr"; did you mean "viewer"?'),
        Mistake(f"{user} roles", "@@nobody-has-this", 'unknown role "nobody-has-this"'),
        Mistake(f"{user} state", "@@activ", 'did you mean "active"?'),
        Mistake(f"{user} expires", "@@2027-02-30", "no calendar has"),
        Mistake(f"{user} expires", "@@tomorrow", "is not a date"),
        Mistake(f"{user} extra", "@@emial: x@example.org", 'unknown key "emial"; did you mean "email"?'),
        Mistake(f"{user} extra", "@@first_name: Twice", "is there already, at prod/people.yaml:"),
        Mistake(f"{user} extra", "@@<<: {state: active}", "merge keys"),
        Mistake(f"{user} extra", "@@12: x", "a key must be a text"),
        Mistake(f"{user} extra", "ssh_keys: [@@'ssh-dss AAAA']", "is not a public SSH key"),
        Mistake(f"{user} extra", "password: @@hunter2", "looks like a secret"),
        Mistake("more", f"@@{user}: {{first_name: Again}}", "is there already", "prod/people.yaml"),
        Mistake(
            "more",
            f"new: {{email: @@{other.upper()}@Example.org}}",
            "is the address of",
            "prod/people.yaml",
            f"{other} email",
        ),
    ]


ONE_OF_A_KIND = [
    Mistake("owner", "@@'no blanks'", "is not a name"),
    Mistake("delete_after", "@@30 days", "is not a duration"),
    Mistake("count", "@@-1", "must be at least 0"),
    Mistake("count", "@@'5'", "must be a whole number"),
    Mistake("share", "@@110%", "is not a share"),
    Mistake("share", "@@0.1", "is not a share"),
    Mistake("mode", "@@enforced", 'did you mean "enforce"?'),
    Mistake("more section", "@@usrs: {}", 'unknown section "usrs"; did you mean "users"?'),
    Mistake("more section", "@@owner: prod", "belongs in policy.yaml"),
    Mistake("more section", "calendars: {fr: [@@2027-13-01]}", "no calendar has"),
    Mistake("machines extra", "odd: {vmid: @@102}", 'that of "db-01" already', needs="db-01 vmid"),
    Mistake("machines extra", "@@'bad name': {}", "is not a name"),
    Mistake("machines extra", "odd: @@[]", "must be a map"),
    *(Mistake(f"{role} privileges", "@@VM.Audit", "must be a list") for role in ROLES),
    *(Mistake(f"{role} privileges", "[VM.Audit, @@audit]", "is not a Proxmox privilege") for role in ROLES),
    *(Mistake(f"{role} description", "@@[no, text]", "must be a text") for role in ROLES),
    *(Mistake(f"{role} description", "@@AKIAIOSFODNN7EXAMPLE", "looks like a secret") for role in ROLES),
    *(Mistake(f"{role} api", "[@@vm]", "is not a permission") for role in ROLES),
    *(Mistake(f"{role} extra", f"includes: [@@{role}x1]", "unknown role") for role in ROLES),
    *(Mistake(f"{machine} vmid", "@@42", "must be at least 100") for machine in MACHINES),
    *(Mistake(f"{machine} vmid", "@@'101'", "must be a whole number") for machine in MACHINES),
    *(Mistake(f"{machine} user", "@@stranger: viewer", "unknown user") for machine in MACHINES),
    *(Mistake(f"{machine} role", "@@opertor", 'unknown role "opertor"') for machine in MACHINES),
]
MISTAKES = [*ONE_OF_A_KIND, *(mistake for user in USERS for mistake in _user_mistakes(user))]
BREAKS = {"tab": "\tx: 1", "cut off": "x: [1, 2", "NUL": "x: \x00", "two values": "x: y: z"}


def reported(files: dict[str, bytes]) -> list[tuple[str, int, int, str]]:
    try:
        parse(files, "prod")
    except PolicyErrors as errors:
        return [(p.position.file, p.position.line, p.position.column, str(p)) for p in errors.problems]
    return []


def check(folder: Folder, files: dict[str, bytes], broken: tuple[str, int] | None = None) -> None:
    expected = {
        (file, line, column): mistake
        for file, line, column, mistake in folder.expected
        if (broken is None or broken[0] not in {file, mistake.first_in})
        and mistake.needs not in folder.mistakes
    }
    found = {(file, line, column): text for file, line, column, text in reported(files)}
    if broken is not None:
        there = [place for place in found if place[0] == broken[0] and place[1] >= broken[1]]
        assert len(there) == 1, found
        del found[there[0]]
    assert set(found) == set(expected), found
    for place, mistake in expected.items():
        assert mistake.words in found[place]


def test_the_folder_is_valid_without_mistakes():
    assert reported(write([]).files()) == []


@pytest.mark.parametrize(
    "mistake", [*ONE_OF_A_KIND, *_user_mistakes("chen")], ids=lambda m: f"{m.slot}: {m.text}"
)
def test_each_mistake_alone(mistake):
    folder = write([mistake])
    check(folder, folder.files())


@STEADY
@given(st.lists(st.sampled_from(MISTAKES), min_size=2, max_size=12, unique_by=lambda mistake: mistake.slot))
@example([m for m in MISTAKES if m.slot in {"owner", "more", "chen roles", "web-01 user", "mode"}][:5])
def test_several_mistakes_at_once(mistakes):
    folder = write(mistakes)
    check(folder, folder.files())


@STEADY
@given(
    st.lists(st.sampled_from(MISTAKES), max_size=8, unique_by=lambda mistake: mistake.slot),
    st.sampled_from(FILES),
    st.sampled_from(sorted(BREAKS)),
)
def test_a_syntax_error_hides_only_its_own_file(mistakes, file, kind):
    folder = write(mistakes)
    lines = folder.lines[file]
    lines.append(BREAKS[kind])
    check(folder, folder.files(), (file, len(lines)))
