"""The supervisor, as a program uses it: `run()` for a process of its own, `with` inside another.

Supervisor([ChildSpec("worker", worker)]).run()      owns the process and its signals

with Supervisor(plan) as supervisor:                 a thread; no signal handler is touched
    supervisor.wait_ready(timeout=10)
    supervisor.restart("procmond", timeout=10)
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from daemoneye import system
from daemoneye.errors import ConfigError, DeadlineExceeded, GaveUp, SupervisionError
from daemoneye.rundir import RunDir
from daemoneye.supervisor.contract import Answer, Finish, Verb
from daemoneye.supervisor.desk import error_of
from daemoneye.supervisor.health import ChildHealth, Happening, HealthReport
from daemoneye.supervisor.lifecycle import SERVING, State
from daemoneye.supervisor.loop import ENDING_SIGNALS, Loop, Wake
from daemoneye.supervisor.spec import BROKER, ChildSpec, Desired, Plan

T = TypeVar("T")

ANSWER_TIMEOUT = 5.0
"""Seconds a question about what is may take."""

_END_PATIENCE_SECONDS = 10.0

OnHappening = Callable[[Happening], None]


class Supervisor:
    """Runs a plan: starts its children, watches and restarts them, and ends them in order."""

    def __init__(
        self,
        plan: Plan | Iterable[ChildSpec],
        run_dir: RunDir | str | os.PathLike[str] | None = None,
        on_happening: OnHappening | None = None,
    ) -> None:
        """Prepare a supervisor; nothing is touched before `run` or `with`.

        `plan` may be just its children.  `run_dir` is found as the command line finds it when it is
        not given.  `on_happening` is called from the loop for everything worth telling; it must
        return at once.  Raises ConfigError where no supervisor can run.
        """
        if not system.FEATURES.process_groups:
            raise ConfigError(
                "a supervisor needs process groups and POSIX signals; this platform has neither",
                hint="run it on Linux, macOS or FreeBSD",
            )
        self._plan = _with_broker(plan if isinstance(plan, Plan) else Plan(tuple(plan)))
        self._run_dir = (
            run_dir if isinstance(run_dir, RunDir) else RunDir.find(run_dir, self._plan.instance)
        )
        self._on_happening = on_happening
        self._changed = threading.Condition()
        self._work: _Work | None = None

    @property
    def run_dir(self) -> RunDir:
        """Where this instance lives."""
        return self._run_dir

    def run(self, for_seconds: float | None = None) -> int:
        """Run until asked to end, and return the exit code for the process.

        0: ended in order, by a signal or after `for_seconds`; 130 or 143: cut short, by a second
        signal or before everything was ready; 70: an essential child is given up.  Only in the main
        thread, whose signal handlers it borrows.  Raises ConfigError and AlreadyRunning.
        """
        wake = Wake()
        try:
            with _signals_into(wake):
                loop = Loop(self._plan, self._run_dir, wake, self._tell, whole=True)
                try:
                    return loop.run(for_seconds).exit_code
                finally:
                    loop.close()
        finally:
            wake.close()

    # -- inside a program --

    def __enter__(self) -> Self:
        self._work = _Work(self._plan, self._run_dir, self._tell)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        work, self._work = self._working(), None
        work.end(self._plan.shutdown_timeout + _END_PATIENCE_SECONDS)

    def wait_ready(self, timeout: float) -> None:
        """Wait until every child that is wanted serves, or has done what it was for.

        Raises DeadlineExceeded, which says who is missing, and GaveUp when the run has ended.
        """
        deadline = time.monotonic() + timeout
        wanted = {s.name for s in self._plan.children if Desired(s.desired) is Desired.UP}
        while True:
            report = self.health()
            missing = [
                f"{child.name} is {child.state}"
                for child in report.children
                if child.name in wanted
                and child.state not in SERVING
                and child.state is not State.EXITED
            ]
            if not missing:
                return
            finish = self._working().finish
            if finish is not None:
                raise GaveUp(f"the run has ended: {finish.reason}")
            if time.monotonic() >= deadline:
                raise DeadlineExceeded(f"not ready in {timeout:g} s: {', '.join(missing)}")
            with self._changed:
                self._changed.wait(min(0.2, max(0.0, deadline - time.monotonic())))

    def health(self) -> HealthReport:
        """How everything is."""
        work = self._working()
        return work.ask(work.loop.view.health)

    def children(self) -> Mapping[str, ChildHealth]:
        """How each child is, by name."""
        return {child.name: child for child in self.health().children}

    def start(self, name: str, timeout: float = 60.0) -> str:
        """Want a child up, and wait until it serves; what was done, as a sentence.

        Raises UnknownChild, SupervisionError when it cannot be done, DeadlineExceeded.
        """
        return self._order(Verb.START, name, timeout)

    def stop(self, name: str, timeout: float = 60.0) -> str:
        """Want a child down, and wait until nothing of it is left; else as `start`."""
        return self._order(Verb.STOP, name, timeout)

    def restart(self, name: str, timeout: float = 60.0) -> str:
        """End a child's life, and wait until its next one serves; else as `start`."""
        return self._order(Verb.RESTART, name, timeout)

    def pause(self, name: str, timeout: float = 60.0) -> str:
        """Have a child begin no more work, and wait until it says so; else as `start`."""
        return self._order(Verb.PAUSE, name, timeout)

    def resume(self, name: str, timeout: float = 60.0) -> str:
        """Have a paused child go on, and wait until it says so; else as `start`."""
        return self._order(Verb.RESUME, name, timeout)

    def _order(self, verb: Verb, name: str, timeout: float) -> str:
        answer = self._working().order(verb, name, timeout)
        if not answer.ok:
            raise error_of(answer)
        return answer.text

    def _working(self) -> _Work:
        if self._work is None:
            raise SupervisionError(
                "this supervisor does not run", hint="use it as `with Supervisor(plan) as …:`"
            )
        return self._work

    def _tell(self, happening: Happening) -> None:
        with self._changed:
            self._changed.notify_all()
        if self._on_happening is not None:
            self._on_happening(happening)


class _Work:
    """A loop in a thread, and the ways to talk to it from others."""

    def __init__(self, plan: Plan, run_dir: RunDir, on_happening: OnHappening) -> None:
        self._wake = Wake()
        self.finish: Finish | None = None
        """How it ended, once it has."""
        self._error: BaseException | None = None
        self._over = False
        self._calling = threading.Lock()
        with ExitStack() as undone:
            undone.callback(self._wake.close)
            self.loop = Loop(plan, run_dir, self._wake, on_happening, whole=False)
            undone.pop_all()
        self._thread = threading.Thread(target=self._run, name="daemoneye-supervisor", daemon=True)
        self._thread.start()

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question, given by the loop's thread."""
        if threading.current_thread() is self._thread:
            return question()
        answer: Future[T] = Future()

        def ask() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # it belongs to whoever asked
                answer.set_exception(error)

        self._call(ask)
        return _result(answer, ANSWER_TIMEOUT, "the supervisor")

    def order(self, verb: Verb, name: str, timeout: float) -> Answer:
        """The rules' answer to an order."""
        if threading.current_thread() is self._thread:
            raise SupervisionError(
                "on_happening would wait for itself", hint="give orders from another thread"
            )
        answer: Future[Answer] = Future()
        self._call(lambda: self.loop.desk.order(verb, name, answer.set_result))
        return _result(answer, timeout, f"{verb} {name}")

    def end(self, patience: float) -> None:
        """End everything in order and wait for it; raises what the loop died of."""
        self._call(self.loop.end)
        self._thread.join(patience)
        if self._thread.is_alive():
            raise DeadlineExceeded(f"the supervisor did not end in {patience:g} s")
        self._wake.close()
        if self._error is not None:
            raise self._error

    def _call(self, what: Callable[[], None]) -> None:
        """Have the loop's thread do something; when that is over, there is no other to disturb."""
        with self._calling:
            if not self._over:
                self.loop.call(what)
                return
        what()

    def _run(self) -> None:
        try:
            self.finish = self.loop.run()
        except BaseException as error:  # raised again where the supervisor is left
            self._error = error
        finally:
            self.loop.close()
            with self._calling:
                self._over = True
                self.loop.finish_calls()


def _result(answer: Future[T], timeout: float, what: str) -> T:
    try:
        return answer.result(timeout)
    except TimeoutError:
        raise DeadlineExceeded(f"no answer about {what} in {timeout:g} s") from None


def _with_broker(plan: Plan) -> Plan:
    """The plan with a broker in front, unless it has one or nobody would use it."""
    names = {spec.name for spec in plan.children}
    wanted = not plan.children or plan.bus.clients or any(s.uses_bus for s in plan.children)
    if BROKER in names or not wanted:
        return plan
    broker = ChildSpec(BROKER, "daemoneye.bus.broker.serving:serve", essential=True, uses_bus=False)
    return replace(plan, children=(broker, *plan.children))


@contextmanager
def _signals_into(wake: Wake) -> Iterator[None]:
    """While inside, ending signals only put their number into the wake-up pipe."""

    def noted(number: int, frame: object) -> None:
        """The interpreter has written the number already."""

    before_fd = signal.set_wakeup_fd(wake.write_fd, warn_on_full_buffer=False)
    before = {each: signal.signal(each, noted) for each in ENDING_SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(before_fd)
