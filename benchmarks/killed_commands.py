"""What a command leaves behind that is ended by a signal at a random moment.

    python benchmarks/killed_commands.py [--tries 5] [--commands NAME ...] [--signals INT TERM HUP KILL] [--seed 0]

Every command that measures for a while is started in a repository of its own and ended somewhere between its start
and its end: Ctrl-C goes to the whole group, as from a terminal, the other signals to the one process. Two seconds
later no process that it started may live, and no worktree, lock or shared memory be left; folders are gone too, but
after SIGKILL, where the command's next start has to sweep them.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rates_repository import git

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--gpuperf-device=cpu")
GPUPERF = (sys.executable, "-m", "pytest_gpuperf")
SLOWER = ("--gpuperf-compare=baseline.json", "--gpuperf-margin=3%")
STUDY = ("--scale=smoke", "--rounds=1", "--requests=20", "--window-seconds=0.2", "--batches=1", "--concurrency=1")
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "record": (*PYTEST, "--gpuperf-save=run.json", "--gpuperf-html=page"),
    "compare, in turns": (*PYTEST, *SLOWER, "--gpuperf-confirm-budget=20s"),
    "compare, fresh": (*PYTEST, *SLOWER, "--gpuperf-confirm=process"),
    "ab": (*GPUPERF, "ab", "base", "--tests=each", "--", "--gpuperf-device=cpu"),
    "ab --apart": (*GPUPERF, "ab", "base", "--tests=each", "--apart", "--", "--gpuperf-device=cpu"),
    "calibrate": (*GPUPERF, "calibrate", "--sessions=5", "--into=new.json", "--", "--gpuperf-device=cpu"),
    "selftest": (*GPUPERF, "selftest", "--budget=30", "--device=cpu"),
    "selftest, gate": (*GPUPERF, "selftest", "--parts=gate", "--rounds=3", "--device=cpu"),
    "serve-study, torch": (*GPUPERF, "serve-study", "resnet50", "--backends=torch", *STUDY, "--device=cpu"),
    "serve-study, triton": (*GPUPERF, "serve-study", "resnet50", "--backends=triton-onnx", *STUDY, "--device=cpu"),
    "plot": (*GPUPERF, "plot", "run0.json", "--into", "plots"),
}
TEST = """
import hashlib, pytest

@pytest.mark.parametrize("n", [1, 2])
def test_hash(gpuperf, n):
    data = b"x" * {size}
    gpuperf(lambda: hashlib.sha256(data).digest())
"""
THEIRS = ("torchinductor", ".ses")  # what torch and ONNX Runtime keep in the temporary folder
SHARED = Path("/dev/shm")
WAIT = 2.0  # seconds, after which nothing may be left
LONGEST = 90.0  # seconds that a whole run may take; what takes longer is ended somewhere in them


@dataclass(frozen=True)
class Left:
    """What one ended command left."""

    exit_code: int
    after: float  # seconds from the signal to its end
    processes: Sequence[str]
    things: Sequence[str]  # worktrees, locks, shared memory, changed files
    folders: Sequence[str]
    said: str  # its standard error

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.said and "pytest_gpuperf/" in self.said


@dataclass(frozen=True)
class Place:
    """A repository whose newest commit is slower than its baseline."""

    repository: Path
    temporary: Path

    @classmethod
    def make(cls, folder: Path) -> Place:
        place = cls(folder / "repository", folder / "tmp")
        place.repository.mkdir()
        place.temporary.mkdir()
        git(place.repository, "init", "-q", "-b", "main")
        for size, message in ((400_000, "base"), (520_000, "slower")):
            (place.repository / "test_hash.py").write_text(TEST.replace("{size}", str(size)))
            (place.repository / "pytest.ini").write_text("[pytest]\n")
            (place.repository / ".gitignore").write_text("*.json\nplots\npage\nserving-study\n__pycache__\n.*.lock\n")
            git(place.repository, "add", ".")
            git(place.repository, "commit", "-qm", message)
            git(place.repository, "branch", message)
            if message == "base":
                runs = [f"run{n}.json" for n in range(3)]
                for run in runs:
                    place.finish((*PYTEST, f"--gpuperf-save={run}"))
                place.finish((*GPUPERF, "accept", *runs, "--into", "baseline.json", "--few"))
        return place

    def start(self, command: Sequence[str], mark: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.repository,
            env={**os.environ, "TMPDIR": str(self.temporary), "GPUPERF_TRY": mark, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=(self.temporary.parent / "said").open("wb"),
            start_new_session=True,
        )

    def finish(self, command: Sequence[str]) -> tuple[int, float]:
        """Run it to its end."""
        started = time.monotonic()
        process = self.start(command, "whole")
        code = process.wait(600)
        if code not in {0, 1, 5, 6, 7}:
            print(" ".join(command), "exit code", code, self.said()[-2000:], file=sys.stderr)
        return code, time.monotonic() - started

    def said(self) -> str:
        return (self.temporary.parent / "said").read_text(errors="replace")

    def end(self, command: Sequence[str], moment: float, number: signal.Signals) -> Left | None:
        """Start it, end it at a moment; None where it had ended before."""
        mark, shared = uuid.uuid4().hex, set(SHARED.iterdir())
        process = self.start(command, mark)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            return self._ended(process, mark, shared, number)
        return None

    def _ended(self, process: subprocess.Popen[bytes], mark: str, shared: set[Path], number: signal.Signals) -> Left:
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        sent = time.monotonic()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        after = time.monotonic() - sent
        time.sleep(WAIT)
        found = Left(
            process.wait(),
            after,
            list(living(mark)),
            [*self._things(), *map(str, set(SHARED.iterdir()) - shared)],
            sorted(p.name for p in self.temporary.iterdir() if not p.name.startswith(THEIRS)),
            self.said(),
        )
        for pid in (int(line.split()[0]) for line in found.processes):
            os.kill(pid, signal.SIGKILL)
        return found

    def _things(self) -> Iterator[str]:
        worktrees = git_says(self.repository, "worktree", "list", "--porcelain").count("worktree ") - 1
        if worktrees:
            yield f"{worktrees} worktrees"
        changed = git_says(self.repository, "status", "--porcelain")
        if changed.strip():
            yield f"changed: {changed.strip()}"
        yield from (str(p.relative_to(self.repository)) for p in self.repository.rglob("*.lock"))


def git_says(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def living(mark: str) -> Iterator[str]:
    """The processes of one try, by what they have in their environment."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"GPUPERF_TRY={mark}".encode() in (place / "environ").read_bytes():
                words = (place / "cmdline").read_bytes().replace(bytes(1), b" ")
                yield f"{place.name} {words.decode(errors='replace')}"
        except OSError:  # it has just ended
            continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--signals", nargs="+", default=["INT", "TERM", "HUP", "KILL"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    for ignored in (signal.SIGHUP, signal.SIGINT):  # by nohup, by a shell in the background; who inherits that obeys
        signal.signal(ignored, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        place = Place.make(Path(folder))
        totals: dict[str, Counter[str]] = defaultdict(Counter)
        for name in arguments.commands:
            code, whole = place.finish(COMMANDS[name])
            print(f"# {name}: a whole run took {whole:.1f} s, exit code {code}", flush=True)
            for short in arguments.signals:
                number, row = signal.Signals[f"SIG{short}"], totals[f"{name} | {short}"]
                for _ in range(arguments.tries):
                    moment = random.uniform(0.1, min(whole, LONGEST))
                    left = place.end(COMMANDS[name], moment, number)
                    if left is None:
                        row["ended before"] += 1
                        continue
                    row["tries"] += 1
                    row[f"exit code {left.exit_code}"] += 1
                    row["slowest end, ms"] = max(row["slowest end, ms"], round(left.after * 1000))
                    if left.processes or left.things or left.traceback or (left.folders and short != "KILL"):
                        row["FAILED"] += 1
                        print(f"{name}, SIG{short} after {moment:.2f} s: exit code {left.exit_code}", flush=True)
                        for what in (*left.processes, *left.things, *left.folders):
                            print(f"    left: {what[:200]}", flush=True)
                        if left.traceback:
                            print("    " + left.said[-3000:].replace("\n", "\n    "), flush=True)
                    row["folders"] += bool(left.folders)
                if short == "KILL":
                    place.finish(COMMANDS[name])
                    row["not swept"] = len(list(place.temporary.glob("gpuperf*")))
                print(f"{name} | {short} | {dict(row)}", flush=True)


if __name__ == "__main__":
    main()
