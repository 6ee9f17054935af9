"""Whether two processes of the same code differ less where they hash alike: what `gpuperf ab` lets both sides do.

    python benchmarks/hash_seeds.py [--pairs 20]

Pairs of fresh processes, in turn with the same PYTHONHASHSEED and with two: the standard deviation of the log ratio of
what the two took (each the least of 20 timings), for workloads of tables, texts and attributes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from math import log

WORK = r"""
import json, re
from time import perf_counter

WORDS = [f"word{i}" for i in range(500)]
TABLE = {w: i for i, w in enumerate(WORDS)}
SAID = " ".join(WORDS)
PATTERN = re.compile(r"[a-z]+o[a-z]*")

class Thing:
    def __init__(self, **given):
        self.__dict__.update(given)

THINGS = [Thing(**{w: i for w in WORDS[i:i + 20]}) for i in range(100)]
WORKS = {
    "table": lambda: [TABLE[w] for w in WORDS for _ in range(20)],
    "set": lambda: [len(set(WORDS[i:]) & set(WORDS[: i + 100])) for i in range(100)],
    "regex": lambda: [PATTERN.findall(SAID) for _ in range(10)],
    "attributes": lambda: [sum(vars(t).values()) for t in THINGS for _ in range(20)],
    "json": lambda: json.loads(json.dumps(TABLE)),
}

def least(work):
    found = []
    for _ in range(20):
        begun = perf_counter()
        work()
        found.append(perf_counter() - begun)
    return min(found)

for work in WORKS.values():
    work()
print(json.dumps({name: least(work) for name, work in WORKS.items()}))
"""


def took(seed: int) -> dict[str, float]:
    """Seconds of each work in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20)
    alike: list[dict[str, float]] = []
    apart: list[dict[str, float]] = []
    for seed in range(1, parser.parse_args().pairs + 1):
        for ratios, other in ((alike, seed), (apart, seed + 1000)):
            a, b = took(seed), took(other)
            ratios.append({name: log(b[name] / a[name]) for name in a})
    print("| work | sd, the same seed | sd, two seeds |\n|---|---:|---:|")
    for name in alike[0]:
        same, two = (statistics.stdev(r[name] for r in ratios) for ratios in (alike, apart))
        print(f"| {name} | {same:.2%} | {two:.2%} |")


if __name__ == "__main__":
    main()
