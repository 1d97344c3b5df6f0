"""Where questions and orders come in and answers go out: command lines, children, threads.

Whatever is asked of one child goes to the rules and is answered exactly once, when they say so.
Questions about what is are answered at once.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from daemoneye import lifeline as line
from daemoneye.bus.topics import is_level
from daemoneye.errors import (
    DaemoneyeError,
    LocalProtocolError,
    RemoteProtocolError,
    SupervisionError,
    UnknownChild,
)
from daemoneye.strict_json import read_object
from daemoneye.supervisor.contract import Answer, Commanded, Observation, ShutdownAsked, Verb
from daemoneye.supervisor.control import Caller, ControlServer, Question
from daemoneye.supervisor.documents import (
    explanation_document,
    health_document,
    status_document,
)
from daemoneye.supervisor.settings import Settings
from daemoneye.supervisor.view import View
from daemoneye.supervisor.words import cut

Answered = Callable[[Answer], None]

NOT_FOUND, USAGE, TRY_AGAIN = 5, 2, 75
"""Exit codes of a command line: no such child; no such question; not now."""

_ORDERS = {verb.value for verb in (Verb.START, Verb.STOP, Verb.RESTART, Verb.PAUSE, Verb.RESUME)}


class Desk:
    """Everything that waits for an answer."""

    def __init__(self, view: View, observe: Callable[[Observation], None]) -> None:
        self._view = view
        self._observe = observe
        self._numbers = count(1)
        self._waiting: dict[int, Answered] = {}
        self._closed = False
        self.control: ControlServer | None = None
        """Whom callers' questions come from."""

    def order(
        self,
        verb: Verb,
        child: str,
        answered: Answered,
        settings: Settings | None = None,
        asked_by: str = "operator",
        handed_up_by: str = "",
    ) -> None:
        """Ask the rules for something; `answered` is called once, from the loop."""
        number = next(self._numbers)
        if self._closed:
            answered(Answer(number, False, "the supervisor has ended", TRY_AGAIN))
            return
        self._waiting[number] = answered
        self._observe(Commanded(number, verb, child, settings or {}, asked_by, handed_up_by))

    def answer(self, answer: Answer) -> None:
        """The rules have decided."""
        answered = self._waiting.pop(answer.request, None)
        if answered is not None:
            answered(answer)

    def close(self) -> None:
        """Nothing more is decided: whoever still waits is told so."""
        self._closed = True
        for number in list(self._waiting):
            self.answer(Answer(number, False, "the supervisor has ended", TRY_AGAIN))

    def wished(self, child: str, wish: line.Wish, answered: Answered) -> None:
        """A child hands up what somebody on the bus wants."""
        try:
            verb, settings = Verb(wish.verb), read_object(wish.settings or "{}", "settings")
        except (ValueError, RemoteProtocolError) as error:
            answered(Answer(0, False, cut(str(error)), USAGE))
            return
        asked_by = wish.asked_by if is_level(wish.asked_by) else child
        self.order(verb, wish.child, answered, settings, asked_by, child)

    def asked(self, caller: Caller, question: Question) -> None:
        """A command line asks."""
        control = self.control
        assert control is not None
        try:
            if question.verb in _ORDERS:
                self.order(
                    Verb(question.verb),
                    question.child,
                    lambda answer: _pass_on(control, caller, answer),
                )
            else:
                control.reply(caller, {"ok": True, **self._document(question)})
        except UnknownChild as error:
            control.refuse(caller, error, NOT_FOUND)
        except DaemoneyeError as error:
            control.refuse(caller, error, USAGE)

    def _document(self, question: Question) -> dict[str, object]:
        view = self._view
        match question.verb:
            case "status":
                return status_document(view.health(), view.about(), view.wall)
            case "health":
                return health_document(view.health(), view.about())
            case "explain":
                return explanation_document(view.explanation(question.child), view.wall)
            case "shutdown":
                self._observe(ShutdownAsked())
                return {"text": "everything ends, in order"}
        raise LocalProtocolError(
            f"this supervisor knows no question {question.verb!r}",
            hint="its version may be older than your command line's",
        )


def error_of(answer: Answer) -> SupervisionError:
    """Why something was not done, as an exception."""
    kind = UnknownChild if answer.code == NOT_FOUND else SupervisionError
    return kind(answer.text, hint=answer.hint)


def _pass_on(control: ControlServer, caller: Caller, answer: Answer) -> None:
    if answer.ok:
        control.reply(caller, {"ok": True, "text": answer.text})
    else:
        control.refuse(caller, error_of(answer), answer.code)
