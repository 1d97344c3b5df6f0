"""Named pipes of Windows: what is asked of it, and that others have none.

The answers are a stand-in's; no Windows is at hand.
"""

from __future__ import annotations

import json

import pytest

from daemoneye import named_pipes
from tests.fake_windows import Windows, output_of

NAME = "\\\\.\\pipe\\daemoneye-0"

SHOW = """
import json
print(json.dumps([(name, [a if isinstance(a, (int, str)) else None for a in arguments])
                  for name, arguments in CALLS]))
"""


def calls(code: str) -> list[tuple[str, list[object]]]:
    """What Windows is asked for by this."""
    said = output_of(f"from daemoneye import named_pipes\nNAME = {NAME!r}\n{code}\n{SHOW}")
    assert said.startswith("["), said
    return [(name, arguments) for name, arguments in json.loads(said)]


def arguments_of(found: list[tuple[str, list[object]]], name: str) -> list[list[object]]:
    return [arguments for each, arguments in found if each == name]


def test_elsewhere_there_are_none() -> None:
    for attempt in (named_pipes.listen, named_pipes.connect):
        with pytest.raises(OSError, match="not implemented"):
            attempt(NAME)


def test_only_the_first_instance_asks_for_a_name_that_is_free() -> None:
    found = calls("windows.waits = [0]; named_pipes.listen(NAME).accept()")
    first, second = arguments_of(found, "CreateNamedPipe")
    assert first[0] == second[0] == NAME
    modes = first[1], second[1]
    free = Windows.FILE_FLAG_FIRST_PIPE_INSTANCE
    assert all(isinstance(mode, int) and mode & Windows.FILE_FLAG_OVERLAPPED for mode in modes)
    assert [bool(int(str(mode)) & free) for mode in modes] == [True, False]


def test_a_pipe_takes_messages_of_our_own_user_on_this_machine() -> None:
    found = calls("named_pipes.listen(NAME)")
    (asked,) = arguments_of(found, "CreateNamedPipe")
    assert asked[2] == 4 | 2 | 8  # messages both ways, and no remote clients
    assert asked[7]  # security attributes, made of:
    (described,) = arguments_of(found, "ConvertStringSecurityDescriptorToSecurityDescriptorW")
    assert described[0] == "O:S-1-5-21-7D:P(A;;GA;;;S-1-5-21-7)"


def test_who_comes_is_told_with_its_pid_and_another_instance_waits() -> None:
    said = output_of(
        "from daemoneye import named_pipes\n"
        "windows.waits = [0, 0]\n"
        f"listener = named_pipes.listen({NAME!r})\n"
        "print([(pipe.handle, pid) for pipe, pid in (listener.accept(), listener.accept())])\n"
        "print([arguments for name, arguments in CALLS if name == 'ConnectNamedPipe'])\n"
    )
    assert said == "[(100, 4242), (102, 4242)]\n[(100,), (102,)]\n"


def test_closing_ends_the_wait_and_every_handle() -> None:
    found = calls(
        "windows.waits = [1]\n"
        "listener = named_pipes.listen(NAME)\n"
        "listener.close()\n"
        "assert listener.accept() is None\n"
    )
    assert arguments_of(found, "SetEvent") == [[9]]
    assert arguments_of(found, "cancel") == [[]]
    assert [9] in arguments_of(found, "CloseHandle")
    assert [100] in arguments_of(found, "CloseHandle")


def test_who_has_gone_again_is_taken_in_all_the_same() -> None:
    found = calls(
        "windows.failures['ConnectNamedPipe'] = gone = WindowsError()\n"
        "gone.winerror = 232\n"
        "assert named_pipes.listen(NAME).accept() is not None\n"
    )
    assert len(arguments_of(found, "CreateNamedPipe")) == 2


def test_without_room_for_another_the_one_that_came_has_to_go() -> None:
    found = calls(
        "windows.waits = [0]\n"
        "listener = named_pipes.listen(NAME)\n"
        "windows.failures['CreateNamedPipe'] = WindowsError()\n"
        "try:\n"
        "    listener.accept()\n"
        "except OSError:\n"
        "    CALLS.append(('raised', ()))\n"
    )
    assert arguments_of(found, "DisconnectNamedPipe") == [[100]]
    assert arguments_of(found, "raised") == [[]]


def test_a_name_that_somebody_has_leaves_no_handle() -> None:
    found = calls(
        "windows.failures['CreateNamedPipe'] = PermissionError(13, 'access denied')\n"
        "try:\n"
        "    named_pipes.listen(NAME)\n"
        "except PermissionError:\n"
        "    CALLS.append(('raised', ()))\n"
    )
    assert arguments_of(found, "raised") == [[]]
    assert [9] in arguments_of(found, "CloseHandle")


def test_who_dials_lends_nobody_its_identity_and_looks_whose_the_pipe_is() -> None:
    found = calls("assert named_pipes.connect(NAME).handle == 100")
    (asked,) = arguments_of(found, "CreateFile")
    assert asked[:3] == [NAME, 0xC0000000, 0]
    assert asked[5] == 0x40000000 | 0x00100000
    names = [name for name, _ in found]
    assert names.index("GetSecurityInfo") < names.index("SetNamedPipeHandleState")


def test_a_pipe_of_another_user_is_hung_up_on() -> None:
    found = calls(
        "PIPE_OWNERS[:] = ['S-1-5-21-8']\n"
        "try:\n"
        "    named_pipes.connect(NAME)\n"
        "except PermissionError as error:\n"
        "    CALLS.append(('raised', (str(error),)))\n"
    )
    assert arguments_of(found, "raised") == [["[Errno 1] it belongs to user S-1-5-21-8"]]
    assert [100] in arguments_of(found, "CloseHandle")


def test_a_pipe_whose_instances_are_all_taken_is_busy() -> None:
    found = calls(
        "windows.failures['CreateFile'] = busy = WindowsError()\n"
        "busy.winerror = 231\n"
        "try:\n"
        "    named_pipes.connect(NAME)\n"
        "except BlockingIOError:\n"
        "    CALLS.append(('raised', ()))\n"
    )
    assert arguments_of(found, "raised") == [[]]
