"""Kill `gpuperf energy-score` at random moments, and go on each time: is every query answered exactly once?

    python benchmarks/energy_score_kills.py [--kills 100] [--seed 0]

A smoke run on the processor is started and killed (SIGKILL) somewhere in its life, from its first import to its last
query; then the same command is started again. After each kill the whole lines of the journal must begin with those
that were there before. After the last one the run is left to end, and its queries are counted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

RUNS, QUERIES = 10, 400
COMMAND = (
    sys.executable, "-m", "pytest_gpuperf", "energy-score", "text:phi-2", "--device=cpu", "--scale=smoke",
    "--precision=fp32", f"--runs={RUNS}", f"--queries={QUERIES}", "--prompt-tokens=8", "--max-new-tokens=4",
)  # fmt: skip


def started(into: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, f"--into={into}"],
        stdout=subprocess.DEVNULL,
        stderr=(into.parent / "said").open("wb"),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )


def whole_lines(journal: Path) -> bytes:
    content = journal.read_bytes() if journal.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        number, kills = 0, 0
        into = Path(folder) / "score0"
        began = time.monotonic()
        first = started(into)
        while b'"line":"query"' not in whole_lines(into / "journal.jsonl"):
            time.sleep(0.01)
        start_seconds = time.monotonic() - began
        first.kill()
        first.wait()
        kills += 1
        print(f"a process takes {start_seconds:.1f} s to its first query", flush=True)
        while True:
            journal = into / "journal.jsonl"
            before = whole_lines(journal)
            process = started(into)
            moment = dice.uniform(0.0, 2 * start_seconds) if kills < options.kills else None
            try:
                code = process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                content = journal.read_bytes()
                found["torn last lines"] += content != whole_lines(journal)
                found["kills before the first query of a process"] += whole_lines(journal).count(
                    b'"line":"query"'
                ) == before.count(b'"line":"query"')
                found["journals that lost a line"] += not content.startswith(before)
                continue
            if code != 0:
                found["FAILED"] += 1
                print((into.parent / "said").read_text(), flush=True)
                break
            found["wrong runs"] += not is_right(into)
            found["whole runs"] += 1
            if kills >= options.kills:
                break
            number += 1
            into = Path(folder) / f"score{number}"
    print(f"{kills} kills: " + ", ".join(f"{count} {what}" for what, count in sorted(found.items())))
    sys.exit(bool(found["FAILED"] or found["wrong runs"] or found["journals that lost a line"]))


def is_right(into: Path) -> bool:
    """Every query once, in the journal and in the CSV file."""
    lines = [json.loads(line) for line in whole_lines(into / "journal.jsonl").splitlines()]
    answered = [(line["run"], line["number"]) for line in lines if line["line"] == "query"]
    expected = [(run, query) for run in range(1, RUNS + 1) for query in range(1, QUERIES + 1)]
    with (into / "queries.csv").open() as file:
        shown = [(int(row["run"]), int(row["query"])) for row in csv.DictReader(file)]
    sessions = sum(line["line"] == "session" for line in lines)
    print(
        f"{len(answered)} queries answered by {sessions} processes, {len(set(answered))} of them different", flush=True
    )
    return answered == shown == expected


if __name__ == "__main__":
    main()
