"""How often `gpuperf ab` is wrong on this machine, beside pytest-benchmark and asv on the same commits.

    python benchmarks/ab_rates.py --rounds 30 --slowed-rounds 8 --asv PATH/TO/asv --asv-every 5 --into rates.jsonl
    python benchmarks/ab_rates.py --summarise rates.jsonl
    python benchmarks/ab_rates.py --rounds 6 --slowed-rounds 6 --branches same slow3 --tools 'gpuperf ab' --budget 150

A fixture repository of eight pure-Python workloads of 1 to 4 ms. `same` differs from `base` in a comment; `slow3`,
`slow5` and `slow10` do 3, 5 and 10 % more of the same work in every other workload. Each round runs every tool once,
so that all meet the same hours of the machine. Every line of the file is one run of one tool; it can be stopped at any
time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from rates_repository import Workloads, asv_continuous, case_of, git, prepare_asv, run

from pytest_gpuperf.records.certificate import wilson as interval

PIECES = {
    "loop": "sum(i * i for i in range(200))",
    "json": "json.loads(json.dumps(RECORD))",
    "zlib": "zlib.compress(TEXT[:2000], 1)",
    "regex": "WORD.findall(SAID)",
    "sort": "sorted(VALUES)",
    "sha": "hashlib.sha256(TEXT[:20000]).digest()",
    "dict": "{k: v for v, k in enumerate(VALUES[:300])}",
    "copy": "bytes(BLOCK)",
}
CASES = list(PIECES)
SLOWED = CASES[::2]
TOOLS = ("gpuperf ab", "pytest-benchmark")
BRANCHES = {"same": 100, "slow3": 103, "slow5": 105, "slow10": 110}
PREAMBLE = """
import hashlib, json, random, re, zlib
draw = random.Random(1)
VALUES = [draw.random() for _ in range(250)]
RECORD = {"values": VALUES[:30], "names": [str(v) for v in VALUES[:30]]}
TEXT = b"the quick brown fox jumps over the lazy dog " * 1000
SAID = TEXT[:600].decode()
WORD = re.compile(r"[a-z]+o[a-z]*")
BLOCK = bytearray(200_000)
"""
WORKLOADS = Workloads(PIECES, PREAMBLE, {})


def make(folder: Path) -> None:
    """The repository, with a branch for each share of extra work."""
    WORKLOADS.make(folder, 100, {name: dict.fromkeys(SLOWED, more) for name, more in BRANCHES.items()})


def ours(folder: Path, branch: str, budget: str | None) -> dict[str, str]:
    """What `gpuperf ab` says of each case."""
    command = [sys.executable, "-m", "pytest_gpuperf", "ab", "base", branch, "--format", "json"]
    command += [] if budget is None else ["--budget", budget]
    done = run([*command, "--", "--gpuperf-device", "cpu", "perf"], folder)
    report = json.loads(done.stdout)
    return {case_of(f["case"]): f["verdict"]["word"] for f in report["comparison"]["findings"]}


def pytest_benchmark(folder: Path, branch: str) -> dict[str, str]:
    """What `--benchmark-compare-fail=mean:5%` says: it knows no 'inconclusive'."""
    store = f"--benchmark-storage={folder.parent}/store"
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "bench", store]
    git(folder, "checkout", "-q", "base")
    run([*pytest, "--benchmark-save=base"], folder)
    git(folder, "checkout", "-q", branch)
    done = run([*pytest, "--benchmark-compare", "--benchmark-compare-fail=mean:5%"], folder)
    git(folder, "checkout", "-q", "base")
    if "Saved benchmark data" in done.stdout or "Comparing against" not in done.stdout + done.stderr:
        raise SystemExit(done.stdout + done.stderr)
    failed = set(re.findall(r"test_work\[(\w+)\].*?has failed", done.stdout + done.stderr))
    return {case: "regressed" if case in failed else "unchanged" for case in CASES}


def asv(folder: Path, branch: str, command: str) -> dict[str, str]:
    """What `asv continuous` says of each case."""
    _, slower = asv_continuous(folder, branch, command)
    return {case: "regressed" if case in slower else "unchanged" for case in CASES}


def twice(folder: Path) -> float:
    """Seconds of running the suite once on each revision, as without any gate."""
    started = time.monotonic()
    for branch in ("base", "same"):
        git(folder, "checkout", "-q", branch)
        run([sys.executable, "-m", "pytest", "-q", "--gpuperf-device", "cpu", "perf"], folder)
    git(folder, "checkout", "-q", "base")
    return time.monotonic() - started


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """What runs, in which order: (tool, branch)."""
    draw = random.Random(0)
    for number in range(max(options.rounds, options.slowed_rounds)):
        branches = ["same"] if number < options.rounds else []
        branches += list(BRANCHES)[1:] if number < options.slowed_rounds else []
        branches = [b for b in branches if b in options.branches]
        jobs = [(tool, b) for b in branches for tool in options.tools]
        if options.asv and number % options.asv_every == 0:
            jobs += [("asv", b) for b in branches]
        jobs += [("twice", "same")] if number % 3 == 0 else []
        yield from draw.sample(jobs, len(jobs))


def measure(options: argparse.Namespace) -> None:
    """Append one line a run."""
    with tempfile.TemporaryDirectory(prefix="ab-rates-") as place, options.into.open("a") as into:
        folder = Path(place) / "repository"
        folder.mkdir()
        make(folder)
        if options.asv:
            prepare_asv(folder, "same", options.asv)
        for tool, branch in rounds(options):
            started = time.monotonic()
            words: dict[str, str] = {}
            if tool == "twice":
                twice(folder)
            elif tool == "asv":
                words = asv(folder, branch, options.asv)
            else:
                words = ours(folder, branch, options.budget) if tool == TOOLS[0] else pytest_benchmark(folder, branch)
            line = {"tool": tool, "branch": branch, "seconds": time.monotonic() - started, "words": words}
            into.write(json.dumps(line) + "\n")
            into.flush()
            print(line, flush=True)


def summarise(file: Path) -> None:
    """One table: false alarms, detection, inconclusive, time."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    seconds = {(t, b): [x["seconds"] for x in lines if (x["tool"], x["branch"]) == (t, b)] for x in lines
               for t, b in [(x["tool"], x["branch"])]}  # fmt: skip
    sequence = median(seconds["twice", "same"])
    print(
        "| tool | extra work | runs | found, of slowed tests | 95 % interval | inconclusive | called unchanged "
        "| false alarms, of unslowed tests | runs failed falsely | time to verdict / suite twice |"
    )
    print("|---|---|---:|---:|:---|---:|---:|:---|---:|---:|")
    for tool in (*TOOLS, "asv"):
        for branch in BRANCHES:
            of = [x["words"] for x in lines if (x["tool"], x["branch"]) == (tool, branch)]
            if not of:
                continue
            count: dict[str, int] = defaultdict(int)
            slowed = [] if branch == "same" else SLOWED
            for words in of:
                for case, word in words.items():
                    count[("slowed " if case in slowed else "") + word] += 1
            slow = sum(v for k, v in count.items() if k.startswith("slowed"))
            calm = sum(count.values()) - slow
            found = count["slowed regressed"]
            low, high = interval(found, slow) if slow else (0, 0)
            worst = interval(count["regressed"], calm)[1]
            false_runs = sum(any(w == "regressed" for c, w in words.items() if c not in slowed) for words in of)
            open_ = count["slowed inconclusive"] if slow else count["inconclusive"]
            passed = count["slowed unchanged"] if slow else count["unchanged"]
            print(
                f"| {tool} | {branch.removeprefix('slow') + ' %' if slow else 'none'} | {len(of)} "
                f"| {f'{found} of {slow}' if slow else ''} | {f'{low:.0%} to {high:.0%}' if slow else ''} "
                f"| {open_ / (slow or calm):.0%} | {passed / (slow or calm):.0%} "
                f"| {count['regressed']} of {calm} (at most {worst:.1%}) | {false_runs} of {len(of)} "
                f"| {median(seconds[tool, branch]) / sequence:.1f} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="of the unchanged suite")
    parser.add_argument("--slowed-rounds", type=int, default=8, help="of each share of extra work")
    parser.add_argument("--branches", nargs="+", choices=BRANCHES, default=list(BRANCHES))
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    parser.add_argument(
        "--budget", metavar="SECONDS", help="of `gpuperf ab`: time for more launches of what stays open"
    )
    parser.add_argument("--asv", help="the command asv, in an environment of its own")
    parser.add_argument("--asv-every", type=int, default=5, metavar="N", help="asv takes long: one round in N")
    parser.add_argument("--into", type=Path, default=Path("ab_rates.jsonl"))
    parser.add_argument("--summarise", type=Path, metavar="FILE", help="only print the table of a file")
    options = parser.parse_args()
    if options.summarise is None:
        measure(options)
    summarise(options.summarise or options.into)


if __name__ == "__main__":
    main()
