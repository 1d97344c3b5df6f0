"""Where an instance lives, who may hold it, and which directories are refused."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemoneye.errors import AlreadyRunning, ConfigError, NotRunning
from daemoneye.rundir import RunDir, RunLock

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "run")
    made.make()
    return made


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DAEMONEYE_RUN_DIR": "/a", "RUNTIME_DIRECTORY": "/b"}, "/a"),
        ({"RUNTIME_DIRECTORY": "/b:/c", "XDG_RUNTIME_DIR": "/d"}, "/b"),
        ({"XDG_RUNTIME_DIR": "/d"}, "/d/daemoneye/blue"),
        ({}, "/run/daemoneye/blue" if AS_ROOT else f"/tmp/daemoneye-{os.geteuid()}/blue"),
    ],
    ids=["variable", "systemd", "xdg", "last resort"],
)
def test_find_takes_the_first_rule_that_speaks(environ: dict[str, str], expected: str) -> None:
    assert RunDir.find(None, "blue", environ).path == Path(expected)


def test_find_prefers_what_is_given_and_makes_it_absolute() -> None:
    found = RunDir.find("here", environ={"DAEMONEYE_RUN_DIR": "/a"})
    assert found.path == Path.cwd() / "here"


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "a" * 65, "ä", "a\n"])
def test_find_refuses_names_that_are_no_names(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name an instance"):
        RunDir.find(None, name, {})


def test_find_touches_nothing(tmp_path: Path) -> None:
    RunDir.find(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_make_creates_a_private_directory_below_missing_ones(tmp_path: Path) -> None:
    made = RunDir(tmp_path / "a" / "b")
    made.make()
    made.make()
    assert [oct(p.stat().st_mode & 0o777) for p in (made.path, made.path.parent)] == ["0o700"] * 2


def test_make_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        RunDir(tmp_path / "run").make()
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_check_says_not_running_when_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotRunning) as caught:
        RunDir(tmp_path / "none").check()
    assert "daemoneye run" in caught.value.hint


def test_a_directory_open_to_others_is_refused(run_dir: RunDir) -> None:
    run_dir.path.chmod(0o750)
    with pytest.raises(ConfigError, match="mode 0750"):
        run_dir.make()


def test_a_symbolic_link_is_refused(run_dir: RunDir, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(run_dir.path)
    with pytest.raises(ConfigError, match="symbolic link"):
        RunDir(link).check()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="no directory"):
        RunDir(tmp_path / "file").make()


def test_a_parent_that_anybody_may_write_to_is_refused(tmp_path: Path) -> None:
    parent = tmp_path / "open"
    parent.mkdir()
    RunDir(parent / "run").make()
    parent.chmod(0o777)
    with pytest.raises(ConfigError, match="anybody may replace it"):
        RunDir(parent / "run").check()
    parent.chmod(0o1777)
    RunDir(parent / "run").check()


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a directory away")
def test_what_belongs_to_another_user_is_refused(run_dir: RunDir, tmp_path: Path) -> None:
    os.chown(run_dir.path, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        run_dir.check()
    os.chown(run_dir.path, 0, -1)
    os.chown(tmp_path, 12345, -1)
    try:
        with pytest.raises(ConfigError, match="parent belongs to user 12345"):
            run_dir.check()
    finally:
        os.chown(tmp_path, 0, -1)


@pytest.mark.parametrize("length", [103, 104])
def test_sockets_of_a_long_path_have_a_short_place(tmp_path: Path, length: int) -> None:
    name = "r" * (length - len(os.fsencode(tmp_path)) - len("//control"))
    made = RunDir(tmp_path / name)
    made.make()
    assert len(os.fsencode(made.path / "control")) == length
    assert len(os.fsencode(made.control_path)) <= 103
    assert (made.socket_dir == made.path) is (length == 103)
    if length == 104:
        assert made.socket_dir.stat().st_mode & 0o777 == 0o700
        made.control_path.touch()
        made.remove_socket_dir()
        assert made.control_path.exists()
        made.control_path.unlink()
    made.remove_socket_dir()
    assert made.socket_dir.exists() is (length == 103)


def test_the_operators_key_is_read_back(run_dir: RunDir) -> None:
    first = run_dir.make_keys()
    keys = run_dir.make_keys()
    assert keys["operator"] != first["operator"]
    assert {"operator": run_dir.read_key()} == keys
    assert run_dir.key_path("operator").stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_can_read_is_refused(run_dir: RunDir) -> None:
    run_dir.make_keys()
    run_dir.key_path("operator").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        run_dir.read_key()


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 33, "\udcff"])
def test_a_file_without_a_key_is_refused(run_dir: RunDir, text: str) -> None:
    run_dir.key_path("operator").write_bytes(os.fsencode(text))
    run_dir.key_path("operator").chmod(0o600)
    with pytest.raises(ConfigError, match="holds no key") as refused:
        run_dir.read_key()
    assert "restart the instance" in refused.value.hint


def test_a_full_disk_is_told_as_what_can_be_done(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(run_dir.path))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigError, match="No space left") as refused:
        run_dir.make_keys()
    assert refused.value.hint.startswith("make room")


def test_a_missing_key_means_not_running(run_dir: RunDir) -> None:
    with pytest.raises(NotRunning):
        run_dir.read_key()


def test_the_lock_has_one_holder_and_names_it(run_dir: RunDir) -> None:
    lock = RunLock.acquire(run_dir)
    with pytest.raises(AlreadyRunning) as caught:
        RunLock.acquire(run_dir)
    assert caught.value.pid == os.getpid()
    lock.release()
    lock.release()
    assert not run_dir.lock_path.exists()
    RunLock.acquire(run_dir).release()


def test_the_lock_ends_with_its_holder_although_its_child_lives(run_dir: RunDir) -> None:
    code = (
        "import subprocess, sys, os\n"
        "from daemoneye.rundir import RunDir, RunLock\n"
        "from pathlib import Path\n"
        "lock = RunLock.acquire(RunDir(Path(sys.argv[1])))\n"
        "child = [sys.executable, '-c', 'import sys; sys.stdin.read()']\n"
        "subprocess.Popen(child, stdin=0, stdout=2, close_fds=False)\n"
        "print('held', flush=True); os.kill(os.getpid(), 9)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(run_dir.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.read() == b"held\n"
        assert holder.wait(10) == -9
        RunLock.acquire(run_dir).release()


def test_a_stale_lock_file_is_taken_over(run_dir: RunDir) -> None:
    run_dir.lock_path.write_text("999999999999\n")
    lock = RunLock.acquire(run_dir)
    assert run_dir.lock_path.read_text() == f"{os.getpid()}\n"
    lock.release()


def obstruct(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        (path / "full").mkdir(parents=True)
    else:
        path.symlink_to("/dev/null")


obstructions = pytest.mark.parametrize("kind", ["fifo", "directory", "link"])


@obstructions
def test_a_key_that_is_no_file_is_refused_at_once(run_dir: RunDir, kind: str) -> None:
    obstruct(run_dir.key_path("operator"), kind)
    with pytest.raises(ConfigError, match=r"cannot read .*operator\.key: it is ") as caught:
        run_dir.read_key()
    assert caught.value.hint


@obstructions
def test_a_lock_that_is_no_file_is_refused_at_once(run_dir: RunDir, kind: str) -> None:
    obstruct(run_dir.lock_path, kind)
    with pytest.raises(ConfigError, match=r"cannot lock .*lock: ") as caught:
        RunLock.acquire(run_dir)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["operator.new", "operator.key"])
def test_a_key_that_cannot_be_written_is_a_problem_with_a_hint(run_dir: RunDir, name: str) -> None:
    obstruct(run_dir.path / name, "directory")
    with pytest.raises(ConfigError, match=rf"cannot write .*{name}: ") as caught:
        run_dir.make_keys()
    assert caught.value.hint


# ---- keys of named clients ----------------------------------------------------------------------


def test_each_client_has_a_key_of_its_own_for_our_user_only(run_dir: RunDir) -> None:
    keys = run_dir.make_keys(["dashboard", "probe"])
    assert sorted(keys) == ["dashboard", "operator", "probe"]
    assert len(set(keys.values())) == 3
    for name, key in keys.items():
        assert len(key) == 32
        assert run_dir.read_key(name) == key
        assert run_dir.key_path(name).stat().st_mode & 0o777 == 0o600
    assert run_dir.keys_dir.stat().st_mode & 0o777 == 0o700
    assert run_dir.key_path("probe") == run_dir.path / "keys" / "probe.key"


def test_keys_of_an_earlier_run_are_replaced_or_gone(run_dir: RunDir) -> None:
    before = run_dir.make_keys(["dashboard", "probe"])
    after = run_dir.make_keys(["probe"])
    assert after["probe"] != before["probe"]
    assert not run_dir.key_path("dashboard").exists()
    run_dir.make_keys()
    assert not run_dir.keys_dir.exists()


def test_at_the_end_no_key_is_left(run_dir: RunDir) -> None:
    run_dir.make_keys(["dashboard"])
    run_dir.key_path("dashboard").with_suffix(".new").touch()  # a run that was killed in between
    run_dir.remove_keys()
    run_dir.remove_keys()
    assert list(run_dir.path.iterdir()) == []


def test_what_is_not_ours_in_there_is_left_alone(run_dir: RunDir) -> None:
    run_dir.make_keys(["dashboard"])
    (run_dir.keys_dir / "notes").touch()
    run_dir.remove_keys()
    assert [each.name for each in run_dir.keys_dir.iterdir()] == ["notes"]


@pytest.mark.parametrize("name", ["", "A", "a.b", "../operator", "a/b", "a" * 65, "a\n", "é"])
def test_a_name_that_is_no_identity_has_no_key(run_dir: RunDir, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a client"):
        run_dir.make_keys([name])
    with pytest.raises(ConfigError, match="cannot name a client"):
        run_dir.read_key(name)


def test_a_client_that_is_not_configured_is_told_who_is(run_dir: RunDir) -> None:
    run_dir.make_keys(["dashboard"])
    with pytest.raises(ConfigError, match=r"no client 'dashbord' .*only dashboard") as caught:
        run_dir.read_key("dashbord")
    assert "[bus.clients.dashbord]" in caught.value.hint
    run_dir.make_keys()
    with pytest.raises(ConfigError, match="no client 'dashboard'"):
        run_dir.read_key("dashboard")


def test_without_an_instance_no_client_has_a_key(run_dir: RunDir) -> None:
    with pytest.raises(NotRunning):
        run_dir.read_key("dashboard")


def test_a_client_s_key_that_others_can_read_is_refused(run_dir: RunDir) -> None:
    run_dir.make_keys(["dashboard"])
    run_dir.key_path("dashboard").chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        run_dir.read_key("dashboard")


def test_keys_in_a_place_that_others_may_use_are_refused(run_dir: RunDir) -> None:
    run_dir.make_keys(["dashboard"])
    run_dir.keys_dir.chmod(0o755)
    with pytest.raises(ConfigError, match="others may use it"):
        run_dir.read_key("dashboard")


def test_a_link_in_place_of_a_client_s_key_is_refused(run_dir: RunDir, tmp_path: Path) -> None:
    run_dir.make_keys(["dashboard"])
    path = run_dir.key_path("dashboard")
    path.rename(tmp_path / "elsewhere.key")
    path.symlink_to(tmp_path / "elsewhere.key")
    with pytest.raises(ConfigError, match="it is a symbolic link"):
        run_dir.read_key("dashboard")


def test_a_link_in_place_of_the_keys_is_refused_and_not_followed(
    run_dir: RunDir, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    (elsewhere / "precious.key").touch()
    run_dir.keys_dir.symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="it is a symbolic link"):
        run_dir.make_keys(["dashboard"])
    assert [each.name for each in elsewhere.iterdir()] == ["precious.key"]


@pytest.mark.parametrize("name", ["dashboard.new", "dashboard.key"])
def test_a_client_s_key_that_cannot_be_written_is_a_problem(run_dir: RunDir, name: str) -> None:
    run_dir.keys_dir.mkdir(0o700)
    obstruct(run_dir.keys_dir / name, "directory")
    with pytest.raises(ConfigError, match=rf"cannot write .*{name}: "):
        run_dir.make_keys(["dashboard"])
