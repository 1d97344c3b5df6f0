"""The damage: real processes, and what is done to them until the time is over."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from daemoneye.rundir import RunDir
from tests.crash.account import LAST, Account, Labour, hearing_of
from tests.support import scaled, wait_for

CAST = {"hear": 2, "dawdle": 1, "publish": 4, "work": 4, "order": 2}
"""How many of each play at once."""

BROKER_KILLS_A_MINUTE = 4
"""More would have it in quarantine, where nothing is learnt."""

CONFIGURATION = """
[collectors.procmond]
enabled = false
[collectors.perfmond]
enabled = false
"""


class Player:
    """One process on the bus, and its record."""

    def __init__(self, role: str, run_dir: Path, records: Path, number: int) -> None:
        self.role = role
        self.record = records / f"{role}-{number}"
        self.record.touch()
        with (records / f"{role}-{number}.err").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.players", role, str(run_dir), str(self.record)],
                stderr=errors,
            )

    @property
    def has_begun(self) -> bool:
        """Whether it has written anything down."""
        return self.record.stat().st_size > 0

    def signal(self, number: int) -> None:
        """Send it this."""
        self.process.send_signal(number)

    def end(self) -> None:
        """Ask it to end, and wait for that."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        self.process.wait(scaled(20))


class Stage:
    """An instance with nothing but a broker, and the players."""

    def __init__(self, run_dir: Path, seed: int) -> None:
        self.run_dir = run_dir
        self.records = run_dir.parent / f"{run_dir.name}.records"
        self.records.mkdir()
        self.random = random.Random(seed)
        self.players: list[Player] = []
        self.past: list[Player] = []
        self.done: Counter[str] = Counter()
        self._numbered = 0
        self._instance: subprocess.Popen[bytes] | None = None

    # ---- beginning and end ----------------------------------------------------------------------

    def begin(self) -> None:
        """Start the instance and everybody who plays."""
        configuration = self.records / "daemoneye.toml"
        configuration.write_text(CONFIGURATION)
        command = ["run", "--run-dir", str(self.run_dir), "--config", str(configuration)]
        with (self.records / "run.out").open("wb") as out:
            self._instance = subprocess.Popen(
                [sys.executable, "-m", "daemoneye", *command], stdout=out, stderr=subprocess.STDOUT
            )
        place = RunDir(self.run_dir)
        wait_for(lambda: place.bus_path.exists(), "the endpoint", within=10)
        for role, count in CAST.items():
            for _ in range(count):
                self._start(role)
        publishers = [each for each in self.players if each.role == "publish"]
        wait_for(lambda: all(each.has_begun for each in publishers), "publishers", within=10)

    def end(self) -> None:
        """End the players in order: subscribers hear the last of every publisher."""
        # Whoever is away comes back within the longest pause between two attempts to connect, and
        # hears each publisher again.
        time.sleep(scaled(6.0))
        for role in ("publish", "order"):
            for each in [each for each in self.players if each.role == role]:
                each.end()
        for each in self.players:
            if each.role not in ("publish", "order"):
                each.end()
        self.past += self.players
        self.players = []

    def close(self) -> None:
        """Leave nothing behind."""
        for each in self.players:
            each.process.kill()
            each.process.wait()
        if self._instance is not None:
            self._instance.send_signal(signal.SIGTERM)
            self._instance.wait(scaled(40))

    # ---- damage ---------------------------------------------------------------------------------

    def wreck(self, seconds: float) -> None:
        """Do something bad every now and then, until the time is over."""
        over = time.monotonic() + seconds
        broker_kills = max(1, round(BROKER_KILLS_A_MINUTE * seconds / 60))
        next_kill = time.monotonic() + seconds / (broker_kills + 1)
        while time.monotonic() < over:
            if time.monotonic() >= next_kill:
                self._kill_broker()
                next_kill += seconds / (broker_kills + 1)
            else:
                self.random.choice((self._kill, self._stop, self._cut, self._stop_broker))()
            self._replace_dead()
            time.sleep(self.random.uniform(0.05, 0.5))

    def _kill(self) -> None:
        player = self.random.choice(self.players)
        player.signal(signal.SIGKILL)
        player.process.wait()
        self.done["killed a player"] += 1

    def _stop(self) -> None:
        player = self.random.choice(self.players)
        player.signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(0.0, 0.7))
        player.signal(signal.SIGCONT)
        self.done["stopped a player"] += 1

    def _cut(self) -> None:
        player = self.random.choice([each for each in self.players if each.has_begun] or [None])
        if player is not None:
            player.signal(signal.SIGUSR1)
            self.done["cut a connection"] += 1

    def _stop_broker(self) -> None:
        with self._broker() as broker:
            if broker is not None:
                broker.suspend()
                time.sleep(self.random.uniform(0.0, 0.5))
                broker.resume()
                self.done["stopped the broker"] += 1

    def _kill_broker(self) -> None:
        with self._broker() as broker:
            if broker is not None:
                broker.kill()
                self.done["killed the broker"] += 1

    @contextmanager
    def _broker(self) -> Iterator[psutil.Process | None]:
        """The broker, if it lives just now."""
        assert self._instance is not None
        found = None
        for child in psutil.Process(self._instance.pid).children():
            try:
                if any("spawn_main" in word for word in child.cmdline()):
                    found = child
            except psutil.Error:
                continue
        try:
            yield found
        except psutil.NoSuchProcess:
            pass

    def _replace_dead(self) -> None:
        for player in list(self.players):
            if player.process.poll() is not None:
                self.players.remove(player)
                self.past.append(player)
                self._start(player.role)

    def _start(self, role: str) -> None:
        self._numbered += 1
        self.players.append(Player(role, self.run_dir, self.records, self._numbered))

    # ---- the account ----------------------------------------------------------------------------

    def account(self) -> Account:
        """From all that was written down."""
        written: dict[str, int] = {}
        ended: set[str] = set()
        hearings = []
        labour = Labour()
        for player in self.past:
            lines = player.record.read_text().splitlines(keepends=True)
            life = str(player.process.pid)
            if player.role == "order":
                labour.order(life, lines)
                continue
            if player.role == "work":
                labour.work(lines)
                continue
            if player.role != "publish":
                hearings.append(hearing_of(lines))
                continue
            whole = [each.rstrip("\n") for each in lines if each.endswith("\n")]
            if whole and whole[-1] == LAST:
                ended.add(life)
                whole.pop()
            written[life] = int(whole[-1]) if whole else 0
        return Account(hearings, written, frozenset(ended), labour)
