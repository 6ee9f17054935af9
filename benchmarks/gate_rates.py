"""How often the stored gate is wrong on this machine, beside pytest-benchmark and asv on the same commits.

    python benchmarks/gate_rates.py --rounds 20 --asv PATH/TO/asv --asv-every 4 --into gate.jsonl
    python benchmarks/gate_rates.py --rounds 5 --suites 2 --weathers calm --branches same slow10 --tools gpuperf
    python benchmarks/gate_rates.py --summarise gate.jsonl

A fixture repository for each size of suite. `same` differs from `base` in a comment of the measured package,
`identical` in its README only; `slow5` and `slow10` do 5 and 10 % more of the same work in one case, in another one
each round. Beside a busy neighbour one more process of Python computes all the time, also while the baseline is
recorded; in the weather `busy later` the baseline was recorded before it came. The baselines of gpuperf and of
pytest-benchmark are recorded once (again after every `--baseline-every` rounds); each round then runs every job once,
in an order of its own, so that all tools meet the same hours of the machine. Every line of the file is one run; it can
be stopped at any time, and goes on with the next round.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from gate_table import summarise
from pytest_benchmark.utils import parse_compare_fail
from rates_repository import Workloads, asv_continuous, branch, case_of, git, prepare_asv, run

PIECES = {  # a suite of two has the first two
    "sha": "hashlib.sha256(TEXT).digest()",
    "json": "json.loads(json.dumps(RECORD))",
    "zlib": "zlib.compress(TEXT[:24000], 1)",
    "loop": "sum(i * i for i in range(1000))",
    "sort": "sorted(VALUES)",
    "product": "SMALL @ SMALL",  # OpenBLAS gives it one thread
    "product_threads": "LARGE @ LARGE",  # and this one two
    "regex": "WORD.findall(SAID)",
}
PREAMBLE = """
import hashlib, json, random, re, zlib
import numpy
draw = random.Random(1)
VALUES = [draw.random() for _ in range(800)]
RECORD = {"values": VALUES[:40], "names": [str(v) for v in VALUES[:40]]}
TEXT = b"the quick brown fox jumps over the lazy dog " * 1000
SAID = TEXT[:1500].decode()
WORD = re.compile(r"[a-z]+o[a-z]*")
SMALL = numpy.linspace(0, 1, 96 * 96).reshape(96, 96)
LARGE = numpy.linspace(0, 1, 160 * 160).reshape(160, 160)
"""
REPEATS = 20  # 21 are 5 % more, 22 are 10 %
SLOWER = {"slow5": 21, "slow10": 22}
BRANCHES = ("same", "identical", *SLOWER)
USUAL = {"calm": BRANCHES, "busy": ("same", "slow10"), "busy later": ("same", "slow10")}  # weather -> branches
TOOLS = ("gpuperf", "pytest-benchmark", "asv", "plain")
RULES = ("mean:5%", "min:5%")  # of pytest-benchmark
OUR_COLUMNS_FROM = "verdict"  # of the CSV file: what is before is the measurement
TAIL = 3000  # characters of a run's text that are kept
BURN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(100_000):\n        pass\n"


class Job(NamedTuple):
    """One run of one tool."""

    suite: int
    weather: str
    branch: str
    tool: str


@dataclass
class Outcome:
    """What a run said."""

    exit_code: int
    words: dict[str, str] = field(default_factory=dict[str, str])  # by case
    more: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Suite:
    """One size of suite: its repository, and its baselines beside it."""

    folder: Path
    cases: tuple[str, ...]
    options: argparse.Namespace

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def ours(self) -> list[str]:
        return ["--gpuperf-device", "cpu", "--gpuperf-budget", self.options.budget, "perf"]

    def make(self) -> None:
        self.repository.mkdir(parents=True)
        work = Workloads({c: PIECES[c] for c in self.cases}, PREAMBLE, {"numpy": version("numpy")})
        slowed = {f"{name}-{case}": {case: more} for name, more in SLOWER.items() for case in self.cases}
        work.make(self.repository, REPEATS, {"same": {}, **slowed})
        branch(self.repository, "identical", "README.md", "Work, described otherwise\n")

    def record_baseline(self, tool: str, busy: bool) -> Iterator[tuple[str, Outcome]]:
        """At the base commit. The last one recorded is the one that later runs are compared with."""
        if tool == "pytest-benchmark":
            yield f"{tool} save", Outcome(self._pytest(*self._store(busy), "--benchmark-save=base", "bench")[0])
            return
        into = self._baseline(busy)
        into.unlink(missing_ok=True)
        how = shlex.split(self.options.calibrate)
        command = [sys.executable, "-m", "pytest_gpuperf", "calibrate", "--into", str(into), *how, "--", *self.ours]
        done = run(command, self.repository)
        if not into.exists():
            raise SystemExit(done.stdout + done.stderr)
        yield f"{tool} calibrate", Outcome(done.returncode, more={"text": done.stdout[-TAIL:]})

    def judge(self, tool: str, revision: str, busy: bool) -> Iterator[tuple[str, Outcome]]:
        """What a tool says of a revision; one run of pytest-benchmark is judged by both rules."""
        git(self.repository, "checkout", "-q", revision)
        if tool == "gpuperf":
            yield tool, self._judge_ours(busy)
        elif tool == "pytest-benchmark":
            yield from self._judge_saved(busy)
        elif tool == "asv":
            code, slower = asv_continuous(self.repository, revision, self.options.asv)
            yield tool, Outcome(code, self._words(slower))
        else:
            yield tool, Outcome(self._pytest(*self.ours)[0])
        git(self.repository, "checkout", "-q", "base")

    def _judge_ours(self, busy: bool) -> Outcome:
        file = self.folder / "verdicts.csv"
        file.unlink(missing_ok=True)
        judging = ["--gpuperf-compare", str(self._baseline(busy)), "--gpuperf-csv", str(file)]
        code, text = self._pytest(*self.ours, *judging, *shlex.split(self.options.gate))
        rows = list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []
        columns = {case_of(r["case"]): _from(OUR_COLUMNS_FROM, r) for r in rows}
        words = {case: said[OUR_COLUMNS_FROM] for case, said in columns.items()}
        return Outcome(code, words, {"columns": columns, "text": text[-TAIL:]})

    def _judge_saved(self, busy: bool) -> Iterator[tuple[str, Outcome]]:
        """As `--benchmark-compare --benchmark-compare-fail=RULE` does, with its own rule: it exits with 1."""
        file = self.folder / "benchmark.json"
        code, text = self._pytest(*self._store(busy), f"--benchmark-json={file}", "bench")
        if code:
            raise SystemExit(text)
        saved = max((self.folder / f"saved-{busy}").rglob("*_base.json"))
        then, now = (
            {case_of(b["fullname"]): b["stats"] for b in json.loads(f.read_text())["benchmarks"]} for f in (saved, file)
        )
        for rule in RULES:
            slower = {case for case in now if parse_compare_fail(rule).fails(now[case], then[case])}
            yield f"pytest-benchmark {rule}", Outcome(1 if slower else 0, self._words(slower))

    def _baseline(self, busy: bool) -> Path:
        return self.folder / f"baseline-{busy}.json"

    def _store(self, busy: bool) -> list[str]:
        return [f"--benchmark-storage={self.folder}/saved-{busy}"]

    def _words(self, slower: set[str]) -> dict[str, str]:
        return {case: "regressed" if case in slower else "unchanged" for case in self.cases}

    def _pytest(self, *arguments: str) -> tuple[int, str]:
        done = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], self.repository)
        return done.returncode, done.stdout + done.stderr


def _from(column: str, row: Mapping[str, str]) -> dict[str, str]:
    names = list(row)
    return {name: row[name] for name in names[names.index(column) :] if row[name]}


@contextmanager
def neighbour(busy: bool) -> Generator[None]:
    """A process that takes one core, and ends by itself should this one be killed."""
    burner = subprocess.Popen([sys.executable, "-c", BURN, str(os.getpid())]) if busy else None
    try:
        yield
    finally:
        if burner is not None:
            burner.kill()
            burner.wait()


def jobs(options: argparse.Namespace, number: int) -> list[Job]:
    """What a round runs, in its order."""
    tools = [t for t in options.tools if t != "asv" or (options.asv and number % options.asv_every == 0)]
    every = [
        Job(suite, weather, name, tool)
        for suite in options.suites
        for weather in options.weathers
        for name in options.branches or USUAL[weather]
        for tool in tools
        if tool != "plain"
    ]
    if "plain" in tools and number % 3 == 0:
        every += [Job(suite, weather, "base", "plain") for suite in options.suites for weather in options.weathers]
    return random.Random(number).sample(every, len(every))


def baselines(options: argparse.Namespace) -> list[Job]:
    """What is recorded before the rounds: `busy later` has the baselines of `calm`."""
    weathers = sorted({"busy" if w == "busy" else "calm" for w in options.weathers})
    return [
        Job(suite, weather, "base", tool)
        for suite in options.suites
        for weather in weathers
        for tool in options.tools
        if tool in {"gpuperf", "pytest-benchmark"}
    ]


def measure(options: argparse.Namespace) -> None:
    """Append one line a run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what it started ends with it
    first = 1 + max((x["round"] for x in lines_of(options.into)), default=-1)
    with tempfile.TemporaryDirectory(prefix="gate-rates-") as place, options.into.open("a") as into:
        suites = {n: Suite(Path(place) / f"suite-{n}", tuple(PIECES)[:n], options) for n in options.suites}
        for suite in suites.values():
            suite.make()
            if options.asv and "asv" in options.tools:
                prepare_asv(suite.repository, "same", options.asv)
        for number in range(first, first + options.rounds):
            if number == first or (options.baseline_every and number % options.baseline_every == 0):
                for job in baselines(options):
                    busy = job.weather == "busy"
                    with neighbour(busy):
                        _write(into, number, job, "", suites[job.suite].record_baseline(job.tool, busy))
            for job in jobs(options, number):
                suite = suites[job.suite]
                slowed = suite.cases[number % job.suite] if job.branch in SLOWER else ""
                revision = f"{job.branch}-{slowed}" if slowed else job.branch
                with neighbour(job.weather != "calm"):
                    _write(into, number, job, slowed, suite.judge(job.tool, revision, job.weather == "busy"))


def _write(into: Any, number: int, job: Job, slowed: str, outcomes: Iterator[tuple[str, Outcome]]) -> None:
    started = time.monotonic()
    for tool, outcome in outcomes:
        seconds = time.monotonic() - started
        line = {"round": number, "tool": tool, "suite": job.suite, "weather": job.weather, "branch": job.branch}
        line |= {"slowed": slowed, "exit_code": outcome.exit_code, "seconds": seconds, "words": outcome.words}
        into.write(json.dumps(line | outcome.more) + "\n")
        into.flush()
        print(line, flush=True)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--suites", nargs="+", type=int, choices=range(1, len(PIECES) + 1), default=[2, 6, 8])
    parser.add_argument("--weathers", nargs="+", choices=USUAL, default=["calm", "busy"])
    parser.add_argument("--branches", nargs="+", choices=BRANCHES, help="all in calm weather, else: same slow10")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    parser.add_argument("--budget", default="1", metavar="SECONDS", help="--gpuperf-budget of every run (1)")
    parser.add_argument("--calibrate", default="", metavar="ARGUMENTS", help="of gpuperf calibrate: '--sessions 8'")
    parser.add_argument("--gate", default="", metavar="ARGUMENTS", help="of the judged run: '--gpuperf-confirm off'")
    parser.add_argument("--baseline-every", type=int, default=0, metavar="ROUNDS", help="record new ones (0: never)")
    parser.add_argument("--asv", help="the command asv, in an environment of its own that has virtualenv too")
    parser.add_argument("--asv-every", type=int, default=1, metavar="ROUNDS", help="asv takes long: one round in N")
    parser.add_argument("--into", type=Path, default=Path("gate_rates.jsonl"))
    parser.add_argument("--summarise", type=Path, metavar="FILE", help="only print the table of a file")
    options = parser.parse_args()
    if options.summarise is None:
        measure(options)
    print(summarise(lines_of(options.summarise or options.into)))


if __name__ == "__main__":
    main()
