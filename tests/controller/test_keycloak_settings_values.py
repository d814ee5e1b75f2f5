"""What settings of a realm mean: there and back, whatever a server holds beside them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.keycloak_passwords import read_rules, written_rules
from controller.keycloak_settings import PLAIN, action_state, action_switches, read, written

RULES = {
    "nothing": ("", {}),
    "one": ("length(8)", {"length": 8}),
    "a switch without a value": ("notUsername", {"not_username": True}),
    "a switch as the console writes it": ("notEmail(undefined)", {"not_email": True}),
    "the server's default": ("length and digits()", {"length": 8, "digits": 1}),
    "days": ("forceExpiredPasswordChange(30)", {"max_age_seconds": 30 * 86_400}),
    "a rule that the language does not have": ("regexPattern(^a(b|c)$)", {"regexPattern": "^a(b|c)$"}),
    "one without a value": ("passwordBlacklist", {"passwordBlacklist": True}),
    "how passwords are stored": ("hashAlgorithm(argon2) and hashIterations(5)", {}),
    "blanks": (" length( 9) and  digits (2) ", {"length": " 9", "digits": 2}),
    "what nobody can count": ("length(many)", {"length": "many"}),
}


@pytest.mark.parametrize(("text", "rules"), RULES.values(), ids=RULES)
def test_a_password_policy_in_rules(text, rules):
    assert read_rules(text) == {f"password_policy.{name}": value for name, value in rules.items()}


WRITTEN = {
    "a new one": ("", {"length": 12}, "length(12)"),
    "a switch": ("length(8)", {"not_username": True}, "length(8) and notUsername(undefined)"),
    "one less": ("length(8) and digits(2)", {"digits": None}, "length(8)"),
    "the last": ("notEmail(undefined)", {"not_email": False}, ""),
    "days": ("", {"max_age_seconds": 86_400}, "forceExpiredPasswordChange(1)"),
    "another number in its place": ("length(8) and digits(2)", {"length": 9}, "length(9) and digits(2)"),
    "storage stays": ("hashAlgorithm(argon2)", {"length": 9}, "hashAlgorithm(argon2) and length(9)"),
    "what the language does not have goes": ("regexPattern(^a)", {"regexPattern": None}, ""),
}


@pytest.mark.parametrize(("text", "rules", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_rules_over_a_password_policy(text, rules, expected):
    assert (
        written_rules(text, {f"password_policy.{name}": value for name, value in rules.items()}) == expected
    )


NUMBERS = st.sampled_from(
    ("length", "max_length", "digits", "lower_case", "upper_case", "special", "history", "max_age_seconds")
)
HELD = st.dictionaries(NUMBERS, st.integers(1, 99)) | st.just({})


@given(HELD, HELD, st.booleans())
def test_written_rules_are_read_again(before, after, not_username):
    text = written_rules("hashIterations(7)", named(before))
    wanted = named(after) | {"password_policy.not_username": True if not_username else None}
    gone = {name: None for name in read_rules(text) if name not in wanted}
    made = written_rules(text, wanted | gone)
    assert read_rules(made) == {name: value for name, value in wanted.items() if value is not None}
    assert made.startswith("hashIterations(7)")


def named(rules):
    days = {name: value * 86_400 if name == "max_age_seconds" else value for name, value in rules.items()}
    return {f"password_policy.{name}": value for name, value in days.items()}


FLAGS = st.booleans()
SECONDS = st.integers(0, 2**31 - 1)
TEXT = st.text(max_size=20)
OTHERS = {
    "display_name": TEXT,
    "otp.type": st.sampled_from(("totp", "hotp")),
    "otp.algorithm": st.sampled_from(("SHA1", "SHA256", "SHA512")),
    "otp.digits": st.sampled_from((6, 8)),
    "otp.look_around": st.integers(0, 10),
    "brute_force.failures": st.integers(1, 1_000_000),
    "sessions.offline_max_seconds": SECONDS | st.none(),
    "mail.host": TEXT.filter(bool),
    "mail.port": st.integers(1, 65_535),
    "mail.sender": TEXT.filter(bool),
    "mail.sender_name": TEXT,
    "mail.reply_to": TEXT,
    "mail.encryption": st.sampled_from(("none", "starttls", "tls")),
    "mail.user": TEXT,
}
STRATEGIES = {
    name: OTHERS[name] if name in OTHERS else SECONDS if name.endswith("_seconds") else FLAGS
    for name in (*PLAIN, *OTHERS)
}
MAIL = {name for name in STRATEGIES if name.startswith("mail.")}
SETTINGS = st.fixed_dictionaries({}, optional=STRATEGIES).filter(
    lambda made: not made.keys() & MAIL or made.keys() >= MAIL
)


@given(SETTINGS, SETTINGS)
def test_what_is_written_is_read_again_and_the_rest_stays(before, after):
    start = written({"realm": "acme", "attributes": {"a": "b"}, "x": 1}, before)
    made = written(start, after)
    assert {name: read(made).get(name) for name in after} == after
    untouched = {name: value for name, value in read(start).items() if name not in after}
    assert {name: read(made).get(name) for name in untouched} == untouched
    assert (made["realm"], made["attributes"]["a"], made["x"]) == ("acme", "b", 1)


MAIL_SERVER = {
    "host": "m",
    "port": "25",
    "from": "a@b.c",
    "auth": "true",
    "user": "u",
    "password": "**********",
}


def test_the_password_of_the_mail_server_stays_masked_unless_it_is_resolved():
    realm = {"smtpServer": MAIL_SERVER, "attributes": {"steward.mail_password": "controller_file:/s/a"}}
    assert read(realm)["mail.password"] == "controller_file:/s/a"
    assert written(realm, {"mail.host": "n"})["smtpServer"]["password"] == "**********"
    made = written(realm, {"mail.password": "controller_file:/s/b"}, mail_password="secret")
    assert made["smtpServer"]["password"] == "secret"
    assert made["attributes"] == {"steward.mail_password": "controller_file:/s/b"}


def test_a_password_that_somebody_took_away_is_absent_whatever_we_remember():
    server = {name: text for name, text in MAIL_SERVER.items() if name != "password"}
    realm = {"smtpServer": server, "attributes": {"steward.mail_password": "controller_file:/s/a"}}
    assert read(realm)["mail.password"] is None


def test_without_a_user_nothing_of_the_password_is_left():
    realm = {"smtpServer": MAIL_SERVER, "attributes": {"steward.mail_password": "controller_file:/s/a"}}
    made = written(realm, {"mail.user": ""})
    assert made == {
        "smtpServer": {"host": "m", "port": "25", "from": "a@b.c", "auth": "false"},
        "attributes": {},
    }


def test_what_the_mail_server_has_besides_stays():
    realm = {"smtpServer": MAIL_SERVER | {"envelopeFrom": "e@b.c"}, "attributes": {}}
    assert written(realm, {"mail.port": 587})["smtpServer"]["envelopeFrom"] == "e@b.c"


@pytest.mark.parametrize("state", ["enabled", "default", "disabled"])
def test_a_required_action_there_and_back(state):
    assert action_state(action_switches(state)) == state


def test_an_action_that_is_off_is_disabled_even_where_it_is_the_default():
    assert action_state({"enabled": False, "defaultAction": True}) == "disabled"
