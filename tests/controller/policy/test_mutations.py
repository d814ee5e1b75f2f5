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
FILES = (
    "prod/clusters.yaml",
    "prod/logins.yaml",
    "prod/machines.yaml",
    "prod/people.yaml",
    "prod/policy.yaml",
    "prod/roles.yaml",
    "prod/teams.yaml",
    "prod/zz-more.yaml",
)


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
    _write_logins(folder, "prod/logins.yaml")
    _write_teams(folder, "prod/teams.yaml")
    _write_clusters(folder, "prod/clusters.yaml")
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


def _write_logins(folder: Folder, file: str) -> None:
    folder.line(file, "realm:")
    folder.value(file, "realm name", "  name: ", "acme")
    folder.value(file, "lockout", "  brute_force: {failures: 5, lockout: ", "15m", "}")
    folder.value(file, "idle", "  sessions: {idle: ", "30m", ", max: 10h}")
    folder.value(file, "max age", "  password_policy: {max_age: ", "90d", "}")
    folder.value(file, "action", "  required_actions: {CONFIGURE_TOTP: ", "enabled", "}")
    folder.line(file, "  mail:")
    folder.line(file, "    host: mail.example.org")
    folder.value(file, "sender", "    sender: ", "sso@example.org")
    folder.line(file, "    user: sso")
    folder.value(file, "mail password", "    password: {", "controller_file: /etc/steward/smtp", "}")
    folder.line(file, "  identity_providers:")
    folder.line(file, "    google:")
    folder.value(file, "kind", "      type: ", "google")
    folder.line(file, "      client_id: acme")
    folder.extra(file, "provider extra", "      ")
    folder.line(file, "clients:")
    folder.line(file, "  grafana:")
    folder.value(file, "redirect", "    redirect: [", "'https://g.example.org/*'", "]")
    folder.value(file, "origin", "    web_origins: [", "'https://g.example.org'", "]")
    folder.extra(file, "client extra", "    ")
    folder.line(file, "  proxmox: {proxmox: {default: true}}")
    folder.extra(file, "clients extra", "  ")


def _write_teams(folder: Folder, file: str) -> None:
    folder.line(file, "teams:")
    folder.line(file, "  science: {description: everybody}")
    folder.line(file, "  research:")
    folder.value(file, "parent", "    parent: ", "science")
    folder.value(file, "member", "    members: [", "ada", "]")
    folder.value(file, "team roles", "    roles: [", "viewer", "]")
    folder.extra(file, "team extra", "    ")
    folder.extra(file, "teams extra", "  ")


def _write_clusters(folder: Folder, file: str) -> None:
    folder.line(file, "schedules:")
    folder.line(file, "  office:")
    folder.value(file, "zone", "    time_zone: ", "Europe/Paris")
    folder.value(file, "days", "    start: {days: ", "mon-fri", ", at: '07:00'}")
    folder.value(file, "at", "    stop: {days: mon-fri, at: ", "'20:00'", "}")
    folder.line(file, "machine_sets:")
    folder.line(file, "  boxes:")
    folder.value(file, "match", "    match: ", "{tags: [lab]}")
    folder.value(file, "least", "    expect: {min: ", "1", ", max: 5}")
    folder.value(file, "set power", "    power: {", "schedule: office", "}")
    folder.line(file, "pools:")
    folder.value(file, "pool team", "  gpu: {assigned: {teams: {", "research: viewer", "}}}")
    folder.line(file, "nodes:")
    folder.value(file, "node", "  ", "pve1", ": {}")


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
        Mistake(f"{user} extra", "teams: [@@reserch]", 'did you mean "research"?'),
        Mistake(f"{user} extra", "links: {@@gogle: {id: '7'}}", 'did you mean "google"?'),
        Mistake(f"{user} extra", "links: {@@google: {name: x}}", '"id" is missing'),
        Mistake(f"{user} extra", "attributes: {@@email: x}", "is no attribute: say email"),
        Mistake(f"{user} extra", "required_actions: [@@VERIFY_MAIL]", 'did you mean "VERIFY_EMAIL"?'),
        Mistake(f"{user} extra", "proxmox_tokens: {@@ci: {}}", '"secret" is missing'),
        Mistake(f"{user} extra", "proxmox_tokens: {ci: {secret: {@@host_file: /x}}}", "say controller_file"),
        Mistake(f"{user} extra", "invite: @@'yes'", "must be true or false"),
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
    Mistake("realm name", "@@master", "no policy manages it"),
    Mistake("realm name", "@@[acme]", "must be a text"),
    Mistake("lockout", "@@soon", "is not a duration"),
    Mistake("idle", "@@11h", "idle is longer than max (10h)"),
    Mistake("max age", "@@36h", "whole days"),
    Mistake("action", "@@on", "is none of enabled, default, disabled"),
    Mistake("sender", "@@nobody", "is not an e-mail address"),
    Mistake("mail password", "controller_file: /x, @@controller_env: X", "one secret, two places"),
    Mistake("mail password", "controller_file: @@relative/path", "is not an absolute path"),
    Mistake("kind", "@@gogle", 'did you mean "google"?'),
    Mistake("provider extra", "@@hosted-domain: x.org", 'did you mean "hosted_domain"?'),
    Mistake("provider extra", "by_email: @@link", "needs trust_email"),
    Mistake("redirect", "@@'https://*.example.org/'", "wildcard"),
    Mistake("redirect", "@@'https://g.example.org/#x'", "fragment"),
    Mistake("redirect", "@@/login", "is not absolute"),
    Mistake("origin", "@@'https://g.example.org/'", "is more than an origin"),
    Mistake("client extra", "@@redirects: []", 'did you mean "redirect"?'),
    Mistake("client extra", "secret: @@{}", "no place of the secret"),
    Mistake("clients extra", "other: {@@proxmox: {}}", "is the client of Proxmox already"),
    Mistake("clients extra", "@@account: {}", "is a client of Keycloak's own"),
    Mistake("parent", "@@sciense", 'did you mean "science"?'),
    Mistake("parent", "@@research", "goes in a circle"),
    Mistake("member", "@@addda", 'did you mean "ada"?'),
    Mistake("team roles", "@@viewr", 'did you mean "viewer"?'),
    Mistake("team extra", "@@manager: [ada]", 'did you mean "managers"?'),
    Mistake("team extra", "managers: @@ada", "must be a list"),
    Mistake("teams extra", "@@Science: {}", "only in capitals"),
    Mistake("zone", "@@Europe/Pariss", 'did you mean "Europe/Paris"?'),
    Mistake("days", "@@mo-fr", "is no day"),
    Mistake("at", "@@'07:00'", "at the same instant", needs="days"),
    Mistake("at", "@@'7 pm'", "is not a time of day"),
    Mistake("match", "@@{}", "without a condition"),
    Mistake("match", "{@@tag: [lab]}", 'did you mean "tags"?'),
    Mistake("least", "@@6", "is more than max 5"),
    Mistake("least", "@@-1", "must be at least 0"),
    Mistake("set power", "schedule: @@ofice", 'did you mean "office"?'),
    Mistake("set power", "schedule: office, @@state: running", "not both"),
    Mistake("pool team", "@@reserch: viewer", 'did you mean "research"?'),
    Mistake("node", "@@pve1.example", "is a host name"),
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
