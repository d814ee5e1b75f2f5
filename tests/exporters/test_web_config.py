"""The web configuration file: what it may say, and where it is wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.serving.web_config import ClientAuth, Tls, WebConfig, WebConfigError, parse

PATH = Path("/etc/steward/web.yml")
HASH = "$2y$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu"
PAIR = "cert_file: a.crt, key_file: /keys/a.key"


def test_everything():
    data = f"""
tls_server_config:
  cert_file: a.crt
  key_file: /keys/a.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example.org, 192.0.2.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]
  curve_preferences: [CurveP256]
  prefer_server_cipher_suites: true
http_server_config:
  http2: true
  headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=31536000}}
rate_limit: {{interval: 500ms, burst: 20}}
basic_auth_users:
  alice: {HASH}
""".encode()
    assert parse(data, PATH) == WebConfig(
        tls=Tls(
            cert_file=Path("/etc/steward/a.crt"),
            key_file=Path("/keys/a.key"),
            client_auth=ClientAuth.REQUIRED,
            client_ca_file=Path("/etc/steward/ca.pem"),
            allowed_sans=("prometheus.example.org", "192.0.2.1"),
            ciphers=("ECDHE-RSA-AES256-GCM-SHA384",),
            curve="prime256v1",
        ),
        headers=(("X-Frame-Options", "deny"), ("Strict-Transport-Security", "max-age=31536000")),
        users={"alice": HASH},
        interval_seconds=0.5,
        burst=20,
    )


TAKEN = {
    "an empty file": ("", WebConfig()),
    "a comment": ("# nothing\n", WebConfig()),
    "empty sections": ("tls_server_config:\nbasic_auth_users:\n", WebConfig()),
    "an empty map": ("tls_server_config: {}", WebConfig()),
    "HTTP/2, which is not spoken": ("http_server_config: {http2: true}", WebConfig()),
    "a user without TLS": (f"basic_auth_users: {{bob: {HASH}}}", WebConfig(users={"bob": HASH})),
    "no rate limit": ("rate_limit: {interval: 0, burst: 5}", WebConfig(burst=5)),
}


@pytest.mark.parametrize(("text", "expected"), TAKEN.values(), ids=TAKEN.keys())
def test_what_is_taken(text, expected):
    assert parse(text.encode(), PATH) == expected


def test_all_curves_are_no_choice():
    text = f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]}}"
    assert parse(text.encode(), PATH).tls.curve is None


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("", False),
        (f"basic_auth_users: {{bob: {HASH}}}", False),
        (f"tls_server_config: {{{PAIR}}}", False),
        (f"tls_server_config: {{{PAIR}}}\nbasic_auth_users: {{bob: {HASH}}}", True),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: c, client_auth_type: VerifyClientCertIfGiven}}",
            False,
        ),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: c, client_auth_type: RequireAndVerifyClientCert}}",
            True,
        ),
    ],
)
def test_what_keeps_strangers_out(text, guarded):
    assert parse(text.encode(), PATH).is_guarded is guarded


REFUSED = {
    "an unknown section": (
        "tls_config: {}",
        "1:1: unknown key 'tls_config'; did you mean tls_server_config?",
    ),
    "an unknown key": (
        "tls_server_config:\n  cert_fil: a",
        "2:3: unknown key 'cert_fil'; did you mean cert_file?",
    ),
    "no key": ("tls_server_config: {cert_file: a}", "1:20: one of key_file and key is missing"),
    "no certificate": ("tls_server_config: {key_file: a}", "one of cert_file and cert is missing"),
    "a CA for nothing": (
        f"tls_server_config: {{{PAIR}, client_ca_file: c}}",
        "client CA without client_auth_type",
    ),
    "no CA": (
        f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven}}",
        "needs client_ca_file",
    ),
    "names for nothing": (f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}", "without certificates"),
    "anybody's certificate": (
        f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
        "unverified",
    ),
    "an unknown policy": (f"tls_server_config: {{{PAIR}, client_auth_type: Maybe}}", "unknown 'Maybe'"),
    "an old version": (f"tls_server_config: {{{PAIR}, min_version: TLS10}}", "TLS10 is broken"),
    "no version": (f"tls_server_config: {{{PAIR}, min_version: '1.2'}}", "unknown '1.2'"),
    "versions crossed": (
        f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
        "min_version is newer",
    ),
    "an unknown suite": (
        f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_RC4]}}",
        "unknown 'TLS_RSA",
    ),
    "suites as text": (f"tls_server_config: {{{PAIR}, cipher_suites: TLS_AES}}", "a list is expected"),
    "two curves": (f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}", "one curve"),
    "another header": ("http_server_config: {headers: {X-Other: a}}", "unknown key 'X-Other'"),
    "a header's value": ("http_server_config: {headers: {X-Frame-Options: allow}}", "deny, sameorigin"),
    "a split header": ('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nB: c"}}', "no header field"),
    "http2 maybe": ("http_server_config: {http2: maybe}", "neither true nor false"),
    "a plain password": ("basic_auth_users: {bob: secret}", "1:25: the password of 'bob' is no bcrypt hash"),
    "a cost that never ends": (f"basic_auth_users: {{bob: {HASH.replace('$10$', '$31$')}}}", "cost 4 to 18"),
    "a user twice": (f"basic_auth_users:\n  a: {HASH}\n  a: {HASH}", "3:3: key 'a' stands twice"),
    "a colon in a name": (f"basic_auth_users: {{'a:b': {HASH}}}", "no name of a user"),
    "users as a list": ("basic_auth_users: [a]", "keys with values are expected"),
    "a list": ("[]", "1:1: keys with values are expected"),
    "a text": ("hello", "keys with values are expected"),
    "no YAML": ("a: [", "1:"),
    "not text": ("a: \udcff", "no YAML"),
    "a bad interval": ("rate_limit: {interval: soon}", "no duration"),
    "a bad burst": ("rate_limit: {burst: -1}", "no whole number"),
}


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(text, why):
    with pytest.raises(WebConfigError) as caught:
        parse(text.encode(errors="surrogateescape"), PATH)
    assert str(caught.value).startswith(f"{PATH}:")
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_long_file_is_refused():
    with pytest.raises(WebConfigError, match="longer than"):
        parse(b"#" * (1 << 20), PATH)


def test_a_key_is_not_shown():
    assert "KEY" not in repr(parse(b"tls_server_config: {cert: C, key: KEY}", PATH))


@given(
    st.text()
    | st.recursive(
        st.text(max_size=3), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)
    ).map(str)
)
def test_nothing_else_is_raised(text):
    with contextlib.suppress(WebConfigError):
        parse(text.encode(errors="replace"), PATH)
