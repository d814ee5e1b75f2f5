"""Passwords: right, wrong, remembered, and what guessing costs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from exporters.serving.passwords import Passwords, TooManyGuessesError, find_bcrypt

HASH = "$2b$04$abcdefghijklmnopqrstuua.3R.XuKf05mz.zqW7/BDQH00EPr62G"
USERS = {"alice": HASH}
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Counted:
    """bcrypt that counts."""

    def __init__(self):
        self.calls = []
        self._bcrypt = find_bcrypt()

    def __call__(self, password, setting):
        self.calls.append((password, setting))
        return self._bcrypt(password, setting)


class Steady:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
async def counted():
    bcrypt, steady = Counted(), Steady()
    passwords = Passwords(bcrypt, steady=steady)
    passwords.bcrypt, passwords.steady = bcrypt, steady
    yield passwords
    passwords.close()


@pytest.mark.parametrize(
    ("user", "password", "right"),
    [
        ("alice", "steward", True),
        ("alice", "Steward", False),
        ("alice", "", False),
        ("alice", "steward\0more", False),
        ("alice", "é" * 200, False),
        ("bob", "steward", False),
        ("", "", False),
    ],
)
async def test_right_and_wrong(counted, user, password, right):
    assert await counted.check(user, password, USERS, HERE) is right


async def test_what_was_right_is_not_computed_again(counted):
    for _ in range(50):
        assert await counted.check("alice", "steward", USERS, HERE)
    assert len(counted.bcrypt.calls) == 1


async def test_another_hash_is_another_password(counted):
    assert await counted.check("alice", "steward", USERS, HERE)
    other = HASH[:-1] + ("a" if HASH[-1] != "a" else "b")
    assert not await counted.check("alice", "steward", {"alice": other}, HERE)
    assert not await counted.check("alice", "steward", {}, HERE)


async def test_unknown_users_cost_as_much(counted):
    await counted.check("bob", "steward", USERS, HERE)
    ((_, setting),) = counted.bcrypt.calls
    assert setting.startswith(b"$2b$04$")


async def test_guessing_is_bounded_by_address(counted):
    for guess in range(10):
        assert not await counted.check("alice", str(guess), USERS, HERE)
    with pytest.raises(TooManyGuessesError):
        await counted.check("alice", "steward", USERS, HERE)
    assert len(counted.bcrypt.calls) == 10
    assert await counted.check("alice", "steward", USERS, THERE)
    assert await counted.check("alice", "steward", USERS, HERE)  # remembered: no guess
    counted.steady.now += 5
    assert not await counted.check("alice", "x", USERS, HERE)
    with pytest.raises(TooManyGuessesError):
        await counted.check("alice", "y", USERS, HERE)


async def test_few_wait_at_a_time():
    gate, entered = threading.Event(), threading.Event()

    def slow(password, setting):
        entered.set()
        gate.wait()
        return setting

    passwords = Passwords(slow)
    waiting = [asyncio.create_task(passwords.check("alice", str(n), USERS, f"10.0.0.{n}")) for n in range(8)]
    await asyncio.to_thread(entered.wait)
    with pytest.raises(TooManyGuessesError):
        await passwords.check("alice", "one more", USERS, THERE)
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 8
    passwords.close()


def test_bcrypt_knows_every_spelling():
    bcrypt = find_bcrypt()
    for spelling in (b"$2a$", b"$2b$", b"$2y$"):
        setting = spelling + b"04$abcdefghijklmnopqrstuu"
        hashed = bcrypt(b"pass", setting)
        assert len(hashed) == 60
        assert bcrypt(b"pass", hashed) == hashed
