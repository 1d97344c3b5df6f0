"""The control endpoint: bounded, never waiting, and nothing a caller does reaches another."""

from __future__ import annotations

import json
import os
import selectors
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemoneye.errors import SupervisionError
from daemoneye.framing import pack
from daemoneye.supervisor.control import (
    CALLERS_LIMIT,
    ORDER_TIMEOUT,
    QUESTION_LIMIT_BYTES,
    QUESTIONS_LIMIT,
    SPEAK_TIMEOUT,
    Caller,
    ControlServer,
    Question,
)


class Office:
    """A control server with a loop that the test turns by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.asked: list[tuple[Caller, Question]] = []
        self.answer: dict[str, object] | None = None
        self.server = ControlServer(path, self.selector, self._ask)

    def _ask(self, caller: Caller, question: Question) -> None:
        self.asked.append((caller, question))
        if self.answer is not None:
            self.server.reply(caller, self.answer)

    def turn(self) -> None:
        """Serve what is ready, until nothing is."""
        while ready := self.selector.select(0.02):
            for key, mask in ready:
                key.data(mask)

    def dial(self) -> socket.socket:
        """A new connection, accepted."""
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(2.0)
        caller.connect(str(self.path))
        self.turn()
        return caller

    def close(self) -> None:
        """Close it, once."""
        self.server.close()
        self.selector.close()


@pytest.fixture
def office(tidy: Path) -> Iterator[Office]:
    office = Office(tidy / "control")
    yield office
    office.close()
    assert not office.path.exists()


def answer_on(caller: socket.socket) -> dict[str, Any]:
    length = int.from_bytes(caller.recv(4, socket.MSG_WAITALL), "big")
    answer: dict[str, Any] = json.loads(caller.recv(length, socket.MSG_WAITALL))
    return answer


def is_closed(caller: socket.socket) -> bool:
    caller.settimeout(0.05)
    try:
        return caller.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_question_is_asked_and_answered(office: Office) -> None:
    with office.dial() as caller:
        caller.sendall(pack(b'{"verb": "explain", "child": "a"}'))
        office.turn()
        ((who, question),) = office.asked
        assert question == Question("explain", "a")
        office.server.reply(who, {"ok": True, "n": 1})
        assert answer_on(caller) == {"ok": True, "n": 1}


def test_a_question_may_come_byte_by_byte(office: Office) -> None:
    with office.dial() as caller:
        for byte in pack(b'{"verb": "status"}'):
            caller.sendall(bytes([byte]))
            office.turn()
    assert [question.verb for _, question in office.asked] == ["status"]


def test_a_second_question_waits_until_the_first_is_answered(office: Office) -> None:
    with office.dial() as caller:
        caller.sendall(pack(b'{"verb": "health"}') + pack(b"no question") + pack(b'{"verb": "x"}'))
        office.turn()
        assert [question.verb for _, question in office.asked] == ["health"]
        office.server.reply(office.asked[0][0], {"n": 1})
        assert [question.verb for _, question in office.asked] == ["health", "x"]
        office.server.reply(office.asked[1][0], {"n": 2})
        assert answer_on(caller) == {"n": 1}
        assert answer_on(caller)["error"] == "RemoteProtocolError"
        assert answer_on(caller) == {"n": 2}


def test_a_caller_that_asks_and_never_reads_is_asked_no_further_and_closed(office: Office) -> None:
    office.answer = {"text": "x" * 800_000}
    with office.dial() as caller:
        for _ in range(QUESTIONS_LIMIT):
            caller.sendall(pack(b'{"verb": "status"}'))
            office.turn()
        assert len(office.asked) == 1
        deadline = office.server.next_deadline()
        assert deadline is not None
        assert deadline <= time.monotonic() + SPEAK_TIMEOUT
        office.server.expire(deadline)
        assert office.server.next_deadline() is None


def test_a_caller_with_too_many_questions_at_once_is_hung_up_on(office: Office) -> None:
    with office.dial() as caller:
        caller.sendall(pack(b'{"verb": "status"}') * (QUESTIONS_LIMIT + 2))
        office.turn()
        assert is_closed(caller)
    assert office.asked == []


def test_an_error_carries_class_message_hint_and_exit_code(office: Office) -> None:
    with office.dial() as caller:
        caller.sendall(pack(b'{"verb": "stop", "child": "a"}'))
        office.turn()
        office.server.refuse(office.asked[0][0], SupervisionError("no", hint="try"), 75)
        assert answer_on(caller) == {
            "ok": False,
            "error": "SupervisionError",
            "message": "no",
            "hint": "try",
            "code": 75,
        }


@pytest.mark.parametrize("frame", [b"", b"[]", b"{", b'{"verb": 1}', b"\xff", b"[" * 9000])
def test_what_is_no_question_is_refused_and_the_connection_lives(
    office: Office, frame: bytes
) -> None:
    with office.dial() as caller:
        caller.sendall(pack(frame))
        office.turn()
        assert answer_on(caller)["error"] == "RemoteProtocolError"
        caller.sendall(pack(b'{"verb": "status"}'))
        office.turn()
    assert len(office.asked) == 1


@pytest.mark.parametrize(
    "raw", [(QUESTION_LIMIT_BYTES + 1).to_bytes(4, "big"), b"\xff\xff\xff\xff"]
)
def test_a_frame_past_the_limit_closes_the_connection_unread(office: Office, raw: bytes) -> None:
    with office.dial() as caller:
        caller.sendall(raw)
        office.turn()
        assert is_closed(caller)


def test_a_silent_caller_is_closed_at_its_deadline(office: Office) -> None:
    with office.dial() as caller:
        deadline = office.server.next_deadline()
        assert deadline is not None
        assert deadline <= time.monotonic() + SPEAK_TIMEOUT
        office.server.expire(deadline - 0.001)
        assert not is_closed(caller)
        office.server.expire(deadline)
        assert is_closed(caller)


def test_whoever_waits_for_an_order_has_longer(office: Office) -> None:
    with office.dial() as caller:
        caller.sendall(pack(b'{"verb": "stop", "child": "a"}'))
        office.turn()
        office.server.expire(time.monotonic() + SPEAK_TIMEOUT + 1)
        assert not is_closed(caller)
        office.server.expire(time.monotonic() + ORDER_TIMEOUT + 1)
        assert is_closed(caller)


def test_too_many_callers_cost_the_oldest_its_place(office: Office) -> None:
    callers = [office.dial() for _ in range(CALLERS_LIMIT + 1)]
    assert is_closed(callers[0])
    assert not is_closed(callers[1])
    callers[-1].sendall(pack(b'{"verb": "status"}'))
    office.turn()
    assert len(office.asked) == 1
    for caller in callers:
        caller.close()


def test_a_large_answer_reaches_a_slow_caller_whole(office: Office) -> None:
    with office.dial() as caller:
        caller.sendall(pack(b'{"verb": "status"}'))
        office.turn()
        office.server.reply(office.asked[0][0], {"text": "x" * 800_000})
        received = b""
        while len(received) < 800_000:
            received += caller.recv(1 << 16)
            office.turn()
        assert received.endswith(b'xx"}')


def test_an_answer_to_somebody_who_left_is_dropped(office: Office) -> None:
    caller = office.dial()
    caller.sendall(pack(b'{"verb": "status"}'))
    office.turn()
    caller.close()
    office.turn()
    office.server.reply(office.asked[0][0], {"ok": True})
    office.server.reply(office.asked[0][0], {"ok": True})
    assert office.server.next_deadline() is None


def test_a_stale_socket_is_replaced(tidy: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tidy / "control"))
    stale.close()
    office = Office(tidy / "control")
    office.dial().close()
    office.turn()
    assert stat.S_ISSOCK(os.stat(office.path).st_mode)
    office.close()
