"""Writers that work at once and are killed at any moment: nothing that was reported as written is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from pytest_gpuperf.records.files import read_baseline

WRITES = 50

# Adds one session after another to a baseline, and says each that was kept. Its id tells who wrote it.
WRITER = """
import random, sys, time
import msgspec
from examples import a_baseline, a_session
from pytest_gpuperf.records.files import update_baseline

path, who, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for number in range(first, last):
    session = msgspec.structs.replace(a_session(0), id=f"{who}-{number}")
    def change(old):
        time.sleep(random.uniform(0, 0.02))  # with the lock held
        old = old or a_baseline(0)
        kept = [s for s in old.sessions if s.id != session.id]
        return msgspec.structs.replace(old, sessions=(*kept, session))
    update_baseline(path, change)
    print(number, flush=True)
"""


class Writer:
    """One of the processes, started again where it was when it was killed."""

    def __init__(self, path: Path, who: str) -> None:
        self.path, self.who = path, who
        self.reported: set[int] = set()
        self.start()

    def start(self) -> None:
        first = max(self.reported, default=-1) + 1
        support = str(Path(__file__).parents[2] / "support")
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(self.path), self.who, str(first), str(WRITES)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": support},
        )

    def kill(self) -> None:
        self.process.kill()
        self.collect()

    def collect(self) -> None:
        out, _ = self.process.communicate()
        self.reported |= {int(line) for line in out.split()}

    @property
    def done(self) -> bool:
        return len(self.reported) == WRITES


def test_two_writers_that_are_killed_lose_nothing_they_reported(tmp_path: Path) -> None:
    path = tmp_path / "t4.json"
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    writers = [Writer(path, "a"), Writer(path, "b")]
    kills = reads = 0
    while not all(w.done for w in writers):
        until = time.monotonic() + draw.uniform(0.05, 0.3)  # some die while starting, some among their writes
        while time.monotonic() < until:
            if path.exists():
                read_baseline(path)  # whatever happens, whoever reads sees a whole file
                reads += 1
        for writer in [w for w in writers if not w.done]:
            if writer.process.poll() is not None:
                writer.collect()
            elif kills < 20 and draw.random() < 0.7:
                kills += 1
                writer.kill()
            if not writer.done and writer.process.poll() is not None:
                writer.start()
    kept = {s.id for s in read_baseline(path).sessions}
    print(f"{kills} kills, {reads} reads, {len(kept)} sessions")
    assert kept == {"s0"} | {f"{w.who}-{n}" for w in writers for n in w.reported}
    assert len(kept) == 2 * WRITES + 1
    assert kills > 0
    assert reads > 0
    assert [p.name for p in tmp_path.iterdir()] == ["t4.json"]
