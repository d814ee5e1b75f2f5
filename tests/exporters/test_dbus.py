"""D-Bus: bytes of the specification, values against a marshaller of the tests, and a client that is let down
in each way.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import BusError, ExporterError, SourceError
from exporters.system.dbus import Bus, get, system_bus
from exporters.system.dbus_wire import MOST_BYTES, Call, Message, decode, encode, length, split
from exporters.system.tree import Tree
from tests.exporters.dbus_server import RefusedError, Server, Variant, message, read_call

HELLO = bytes.fromhex(
    "6c01000100000000010000006e000000"
    "01016f00150000002f6f72672f667265656465736b746f702f44427573000000"
    "06017300140000006f72672e667265656465736b746f702e4442757300000000"
    "02017300140000006f72672e667265656465736b746f702e4442757300000000"
    "030173000500000048656c6c6f000000"
)
"""A call of Hello, laid out by hand from the specification."""


def test_a_call_has_the_bytes_of_the_specification():
    assert encode(Call(BUS, "/org/freedesktop/DBus", BUS, "Hello"), 1) == HELLO


BUS = "org.freedesktop.DBus"
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(texts, texts, texts, texts, st.lists(texts, max_size=4).map(tuple), st.integers(1, 2**32 - 1))
def test_a_call_is_read_back(destination, path, interface, member, arguments, serial):
    data = encode(Call(destination, path, interface, member, arguments), serial)
    assert length(data[:16]) == len(data)
    fields = {1: path, 2: interface, 3: member, 6: destination}
    if arguments:
        fields[8] = "s" * len(arguments)
    assert read_call(data) == (serial, fields, list(arguments))


LEAVES = {
    "y": st.integers(0, 255),
    "b": st.integers(0, 1),
    "n": st.integers(-(2**15), 2**15 - 1),
    "q": st.integers(0, 2**16 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "u": st.integers(0, 2**32 - 1),
    "x": st.integers(-(2**63), 2**63 - 1),
    "t": st.integers(0, 2**64 - 1),
    "d": st.floats(allow_nan=False),
    "s": texts,
    "o": st.just("/a/b"),
    "g": st.sampled_from(["", "a(su)", "v"]),
}
leaf_kinds = st.sampled_from(sorted(LEAVES))
signatures = st.recursive(
    leaf_kinds,
    lambda inner: st.one_of(
        inner.map(lambda kind: "a" + kind),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({''.join(parts)})"),
        st.tuples(leaf_kinds, inner).map(lambda pair: f"a{{{pair[0]}{pair[1]}}}"),
    ),
    max_leaves=6,
)


def values(signature):
    """A strategy of pairs: what the tests' marshaller takes, and what ours is to read."""
    if signature in LEAVES:
        return LEAVES[signature].map(lambda value: (value, value))
    if signature[0] == "a":
        return st.lists(values(signature[1:]), max_size=3).map(
            lambda pairs: ([given for given, _ in pairs], [found for _, found in pairs])
        )
    return st.tuples(*map(values, split(signature[1:-1]))).map(
        lambda pairs: (tuple(given for given, _ in pairs), tuple(found for _, found in pairs))
    )


@st.composite
def bodies(draw):
    kind = draw(signatures)
    given_value, found = draw(values(kind))
    if draw(st.booleans()):
        return "v", Variant(kind, given_value), found
    return kind, given_value, found


@given(bodies(), st.sampled_from("<>"))
def test_values_are_read_in_either_byte_order(body, order):
    signature, value, found = body
    data = message(2, 5, [(5, Variant("u", 77))], signature, [value], order)
    assert length(data) == len(data)
    assert decode(data) == Message(2, 77, "", (found,))


@given(bodies(), st.data())
def test_damaged_messages_are_refused_or_read_as_something_else(body, data):
    signature, value, _ = body
    sound = message(2, 5, [(5, Variant("u", 77))], signature, [value])
    place = data.draw(st.integers(0, len(sound) - 1))
    damaged = sound[:place] + bytes((data.draw(st.integers(0, 255)),)) + sound[place + 1 :]
    for each in (damaged, sound[:place]):
        try:
            if (length(each) or MOST_BYTES) == len(each):
                assert isinstance(decode(each), Message)
        except SourceError:
            pass


def with_body(signature, body):
    """A message whose header says what its body does not hold."""
    sound = bytearray(message(2, 5, [(5, Variant("u", 77)), (8, Variant("g", signature))], "", []))
    sound[4:8] = struct.pack("<I", len(body))
    return bytes(sound) + body


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(with_body("s", b"\x05\0\0\0ab\0"), id="string beyond the end"),
        pytest.param(with_body("s", b"\x02\0\0\0abc"), id="string without its end"),
        pytest.param(with_body("s", b"\x02\0\0\0\xff\xfe\0"), id="string that is not UTF-8"),
        pytest.param(with_body("as", b"\xff\xff\xff\x7f"), id="array beyond the end"),
        pytest.param(with_body("au", b"\x06\0\0\0" + b"\x01\0\0\0" * 2), id="array with half a value"),
        pytest.param(with_body("yu", b"\x01\x01\x01\x01\x02\0\0\0"), id="padding that is not zero"),
        pytest.param(with_body("v", b"\x02ss\0"), id="variant of two types"),
        pytest.param(with_body("v", b"\x01v\0" * 200), id="variants without end"),
        pytest.param(with_body("a()", b"\x08\0\0\0" + bytes(12)), id="array of nothing"),
        pytest.param(with_body("(s", b""), id="open bracket"),
        pytest.param(with_body("k", b""), id="unknown type"),
        pytest.param(with_body("a" * 70 + "y", bytes(4)), id="signature too deep"),
        pytest.param(with_body("y", b"\x01\x02"), id="more than the signature says"),
        pytest.param(message(2, 5, [(5, Variant("s", "7"))], "", []), id="serial that is text"),
    ],
)
def test_malformed_messages_are_refused(data):
    with pytest.raises(SourceError):
        decode(data)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"x" + HELLO[1:16], id="neither byte order"),
        pytest.param(HELLO[:3] + b"\x02" + HELLO[4:16], id="another version"),
        pytest.param(HELLO[:4] + b"\xff\xff\xff\x7f" + HELLO[8:16], id="too long"),
    ],
)
def test_what_is_no_message_is_refused_by_its_first_bytes(start):
    assert length(start[:15]) is None
    with pytest.raises(SourceError):
        length(start)


def echo(_path, _interface, member, arguments):
    if member == "Fail":
        raise RefusedError("org.example.No")
    return "s", [f"{member}:{','.join(arguments)}"]


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path / "bus", echo).running() as running:
        yield running


def call(member, *arguments):
    return Call("org.example", "/org/example", "org.example.I", member, arguments)


class TestBus:
    def test_calls_are_answered_in_their_order(self, server):
        with Bus(str(server.path)) as bus:
            answers = bus.all([call("A", "1"), call("Fail"), call("B", "2", "ü")])
        assert (answers[0], answers[2]) == (("A:1",), ("B:2,ü",))
        assert isinstance(answers[1], BusError)
        assert answers[1].name == "org.example.No"
        assert [each[2] for each in server.calls] == ["Hello", "A", "Fail", "B"]

    def test_more_calls_than_are_sent_at_once(self, server):
        with Bus(str(server.path)) as bus:
            assert bus.all([call("A", str(i)) for i in range(200)]) == [(f"A:{i}",) for i in range(200)]

    def test_big_endian_answers(self, tmp_path):
        with Server(tmp_path / "bus", echo, order=">").running() as server, Bus(str(server.path)) as bus:
            assert bus.one(call("A")) == ("A:",)

    def test_one_raises_the_error_of_its_answer(self, server):
        with Bus(str(server.path)) as bus, pytest.raises(BusError, match=r"org\.example\.No"):
            bus.one(call("Fail"))

    def test_a_peer_without_a_bus_is_not_greeted(self, server):
        with Bus(str(server.path), hello=False) as bus:
            bus.one(get("org.example", "/o", "org.example.I", "P"))
        assert server.calls == [("/o", "org.freedesktop.DBus.Properties", "Get", "org.example.I", "P")]

    def test_we_say_who_we_are(self, server):
        with Bus(str(server.path)):
            pass
        assert server.logins[0].startswith(b"\0AUTH EXTERNAL ")

    def test_a_refused_login(self, tmp_path):
        with (
            Server(tmp_path / "bus", echo, refuse=True).running() as server,
            pytest.raises(BusError, match="authentication: REJECTED"),
        ):
            Bus(str(server.path)).__enter__()

    def test_a_server_that_does_not_answer_is_left_at_the_deadline(self, tmp_path):
        server = Server(tmp_path / "bus", echo, silent=threading.Event())
        with server.running(), pytest.raises(TimeoutError), Bus(str(server.path), deadline_seconds=0.05):
            pass

    def test_the_deadline_holds_for_all_calls_together(self, server):
        times = iter([0.0, *[1.0] * 6, *[6.0] * 10])
        clock = times.__next__
        with Bus(str(server.path), steady=clock) as bus, pytest.raises(TimeoutError):
            bus.all([call("A")] * 200)

    @pytest.mark.parametrize(
        "raw", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(16), b"l\x02\0\x01" + b"\xff" * 12]
    )
    def test_an_answer_that_is_not_d_bus(self, tmp_path, raw):
        with Server(tmp_path / "bus", echo, raw=raw).running() as server, pytest.raises(SourceError):
            Bus(str(server.path)).__enter__()

    def test_nobody_listens(self, tmp_path):
        with pytest.raises(OSError, match="No such file"), Bus(str(tmp_path / "none")):
            pass

    def test_a_connection_that_ends(self, tmp_path):
        with Server(tmp_path / "bus", echo).running() as server:
            bus = Bus(str(server.path)).__enter__()
        try:
            with pytest.raises((OSError, ExporterError)):
                bus.one(call("A"))
        finally:
            bus.__exit__(None, None, None)


def test_a_real_bus_understands_us(tmp_path):
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("no dbus-daemon here")
    argv = [program, "--session", "--nofork", "--nopidfile", f"--address=unix:path={tmp_path}/bus"]
    with subprocess.Popen([*argv, "--print-address"], stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout.readline().startswith(b"unix:")
            with Bus(f"{tmp_path}/bus") as bus:
                calls = [
                    Call(BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", (name,)) for name in ("x", BUS)
                ]
                (names,) = bus.one(Call(BUS, "/org/freedesktop/DBus", BUS, "ListNames"))
                wrong, right = bus.all(calls)
                (credentials,) = bus.one(
                    Call(BUS, "/org/freedesktop/DBus", BUS, "GetConnectionCredentials", (BUS,))
                )
        finally:
            daemon.terminate()
    assert BUS in names
    assert isinstance(wrong, BusError)
    assert right == (BUS,)
    assert ("ProcessID", daemon.pid) in credentials


def test_the_bus_of_another_root_is_below_it(tmp_path):
    assert system_bus(Tree(rootfs=tmp_path)) == f"{tmp_path}/run/dbus/system_bus_socket"
