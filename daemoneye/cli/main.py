"""`daemoneye`: finds the command, loads its module, turns errors into words and exit codes."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import threading
import traceback
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

from daemoneye.cli import options as shared
from daemoneye.cli.exits import Exit, exit_of
from daemoneye.cli.screen import Screen
from daemoneye.config.problems import nearest
from daemoneye.errors import AccessDenied, ConfigError, DaemoneyeError
from daemoneye.foreign import harmless

COMMANDS = {
    "run": ("daemoneye.cli.run", "start the supervisor, the bus and the collectors"),
    "status": ("daemoneye.cli.status", "what runs, and how it is"),
    "health": ("daemoneye.cli.status", "healthy or not, for scripts"),
    "explain": ("daemoneye.cli.status", "why a child is as it is"),
    "start": ("daemoneye.cli.orders", "start a child"),
    "stop": ("daemoneye.cli.orders", "stop a child"),
    "restart": ("daemoneye.cli.orders", "stop a child and start it again"),
    "pause": ("daemoneye.cli.orders", "let a collector rest without ending it"),
    "resume": ("daemoneye.cli.orders", "let it go on"),
    "events": ("daemoneye.cli.events", "watch what happens, one line for each event"),
    "bus": ("daemoneye.cli.bus", "subscribe, publish, and look at the bus"),
    "validate": ("daemoneye.cli.validate", "check a configuration file"),
    "version": ("daemoneye.cli.version", "say which version this is"),
}
"""Each command with its module and its line of help.

A module has `add_arguments(parser, command)` and `run(options) -> int`.
"""

_TAKE_A_VALUE = ("--run-dir", "--instance")
_SIGNALLED = 128
_BROKEN_PIPE = _SIGNALLED + 13
_LIKE_AN_OPTION = re.compile(r"--?[A-Za-z][\w-]*(=|\Z)")
"""What no text is taken for, unless `--` stands before it."""


class _Parser(ArgumentParser):
    """Arguments in any order, and what is wrong with them in the form of all our errors."""

    def parse_known_args(  # type: ignore[override]  # of the overloads, this one is used
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """As its base; a parser without commands below it knows all or says which it does not."""
        if self._subparsers is not None or args is None:
            return super().parse_known_args(args, namespace)
        options, unknown = super().parse_known_args(self._options_first(args), namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def _options_first(self, args: Sequence[str]) -> list[str]:
        """The same arguments; argparse gives up on a text behind an option behind a text."""
        options: list[str] = []
        texts: list[str] = []
        rest = iter(args)
        for each in rest:
            if each == "--":
                texts += [each, *rest]
            elif action := self._option_string_actions.get(each):
                options += [each, *([next(rest, "")] if action.nargs is None else [])]
            elif _LIKE_AN_OPTION.match(each):
                options.append(each)
            else:
                texts.append(each)
        return options + texts

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and how to learn what is right, and end with the code for usage."""
        if message.endswith("expected one argument"):
            message += ", which cannot begin with -"
        _complain(f"{message[:1].lower()}{message[1:]}", hint=f"{self.prog} --help")
        raise SystemExit(Exit.USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    _open_what_is_closed()
    try:
        with _ended_by_signals():
            code = _dispatch(arguments)
            sys.stdout.flush()
            return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough.  Python would complain once more while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except (DaemoneyeError, OSError) as error:
        return _explain(error, debug=debug)
    except Exception as error:  # a bug: the operator still deserves words instead of a traceback
        code = _explain(error, debug=debug)
        _note("this is a bug in daemoneye or in code it was given; --debug shows where")
        return code


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """What asks a command to end lets it say goodbye first, as Ctrl-C does.

    Who goes without a word is waited for, and what was on its way to it counts as lost.  What was
    ignored (`nohup`) stays so; `run` has handlers of its own.
    """

    def end(number: int, frame: object) -> NoReturn:
        raise SystemExit(_SIGNALLED + number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        asking = (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
        before = {each: signal.getsignal(each) for each in asking if each is not None}
        before = {each: how for each, how in before.items() if how is signal.SIG_DFL}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, how in before.items():
            signal.signal(each, how)


def _open_what_is_closed() -> None:
    """Standard streams that were closed before we began lead nowhere from now on.

    Their descriptors are taken too, and inherited, so that no socket or pipe of ours, or of a
    child, gets the number of a standard stream.
    """
    for fd, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == fd:
                os.set_inheritable(fd, True)
            else:
                os.dup2(nowhere, fd)
                os.close(nowhere)
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _dispatch(arguments: Sequence[str]) -> int:
    before, command, after = _split(arguments)
    if not command:
        parser = _top_parser()
        if not parser.parse_args(before).version:
            parser.print_help(sys.stderr)
            return Exit.USAGE
        command, before = "version", []
    if command not in COMMANDS:
        near = nearest(command, COMMANDS)
        _complain(
            f"there is no command {command!r}",
            hint=f"did you mean `daemoneye {near}`?" if near else "daemoneye --help lists them",
        )
        return Exit.USAGE
    return _run(command, [*before, *after])


def _split(arguments: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """What stands before the command, the command, and what stands behind it."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        position += 2 if arguments[position] in _TAKE_A_VALUE else 1
    command = arguments[position] if position < len(arguments) else ""
    return list(arguments[:position]), command, list(arguments[position + 1 :])


def _run(command: str, arguments: Sequence[str]) -> int:
    module_name, summary = COMMANDS[command]
    module = import_module(module_name)
    parser = _Parser(prog=f"daemoneye {command}", description=summary, allow_abbrev=False)
    module.add_arguments(parser, command)
    shared.add_everywhere(parser)
    options = parser.parse_args(arguments)
    options.command = command
    try:
        code: int = module.run(options)
    except DaemoneyeError as error:
        error.hint = shared.reaching(error.hint, shared.place_typed(options))
        raise
    return code


def _top_parser() -> ArgumentParser:
    width = max(len(name) for name in COMMANDS)
    listing = "\n".join(f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items())
    parser = _Parser(
        prog="daemoneye",
        description="Supervises processes on this machine and connects them by an event bus.",
        usage="daemoneye COMMAND [options]",
        epilog=f"commands:\n{listing}\n\n`daemoneye COMMAND --help` says more.",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    shared.add_everywhere(parser)
    parser.add_argument("--version", action="store_true", help="say which version this is")
    return parser


def _explain(error: BaseException, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    hint = error.hint if isinstance(error, DaemoneyeError) else ""
    problems = error.problems if isinstance(error, ConfigError) else ()
    if isinstance(error, AccessDenied) and error.rule:
        problems = (f"the rule that decided: {error.rule}",)
    message = str(error.args[0]) if isinstance(error, DaemoneyeError) and error.args else ""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        hint = "make room there, or name another place with --run-dir"
        if not error.filename:
            hint = "make room where this is written to"
    _complain(message or _words_of(error), problems=problems, hint=hint)
    return exit_of(error)


def _words_of(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _complain(message: str, *, problems: Sequence[str] = (), hint: str = "") -> None:
    screen = Screen.err()
    title = "daemoneye:"
    for number, line in enumerate(screen.fitted(f"{title} {harmless(message)}", rest="  ")):
        screen.say(line if number else line.replace(title, screen.paint(title, "bad"), 1))
    for problem in problems:
        screen.tell(harmless(problem), "  ", "    ")
    if hint:
        _note(hint)


def _note(text: str) -> None:
    Screen.err().tell(harmless(text), "  → ", "    ")
