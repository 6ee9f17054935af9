"""What a session should look like: by how much fresh processes of the same code differ, by the way they measure.

    python benchmarks/session_ways.py [--processes 20]

`one after the other`: each case in one stretch, as the plugin does it. `interleaved`: a block of each case in turn, so
that every case sees the whole session. `alike`: in one stretch, with one hash seed and one environment for all
processes; else both are drawn anew for each. The ways take turns, in an order drawn anew each round, so that all meet
the same machine. Printed: one standard deviation between processes, of the figure that the gate judges.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from math import exp, log
from statistics import fmean
from typing import Any

from gate_rates import PIECES, PREAMBLE

from pytest_gpuperf.gate import Observed, block_medians
from pytest_gpuperf.gate.session_cost import spread_between

WAYS = ("one after the other", "interleaved", "alike")
BLOCKS, BLOCK = 96, 0.005  # of each case, and seconds of each


def child(way: str) -> None:
    """Print seconds a call, a figure for each block of each case."""
    scope: dict[str, Any] = {}
    exec(PREAMBLE, scope)
    works: dict[str, Callable[[int], object]] = {}
    for name, piece in PIECES.items():
        exec(f"def work(calls):\n    for _ in range(calls):\n        {piece}\n", scope)
        works[name] = scope["work"]
    calls = {name: max(1, round(BLOCK / block(work, 20))) for name, work in works.items()}
    taken: dict[str, list[float]] = {name: [] for name in works}
    names = [n for n in works for _ in range(BLOCKS)] if way != "interleaved" else list(works) * BLOCKS
    for name in names:
        taken[name].append(block(works[name], calls[name]))
    json.dump(taken, sys.stdout)


def block(work: Callable[[int], object], calls: int) -> float:
    begun = time.perf_counter()
    work(calls)
    return (time.perf_counter() - begun) / calls


def session(way: str) -> dict[str, list[float]]:
    """What a fresh process measures."""
    varied = way != "alike"
    own = {"PYTHONHASHSEED": str(random.randrange(2**32)), "PADDING": "x" * random.randrange(4096)}
    done = subprocess.run(
        [sys.executable, __file__, "--child", way],
        env=os.environ | (own if varied else {"PYTHONHASHSEED": "1", "PADDING": ""}),
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=20, help="of each way")
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    sessions: dict[str, list[dict[str, list[float]]]] = defaultdict(list)
    for _ in range(options.processes):
        for way in random.sample(WAYS, len(WAYS)):
            sessions[way].append(session(way))
    print("| case | " + " | ".join(WAYS) + " |\n|---|" + "---:|" * len(WAYS))
    spreads = {way: {case: spread(sessions[way], case) for case in PIECES} for way in WAYS}
    for case in PIECES:
        print(f"| {case} | " + " | ".join(f"{spreads[way][case]:.2%}" for way in WAYS) + " |")
    middles = (exp(fmean(log(s) for s in spreads[way].values())) for way in WAYS)
    print("| geometric mean | " + " | ".join(f"{middle:.2%}" for middle in middles) + " |")


def spread(sessions: list[dict[str, list[float]]], case: str) -> float:
    return spread_between([Observed("", block_medians(measured[case])) for measured in sessions])


if __name__ == "__main__":
    main()
