"""Our load generator beside Triton's perf_analyzer, on one server, under the same load, in turns.

    python benchmarks/serving_agreement.py --perf-analyzer PATH --libraries DIR [--rounds 7]

Two models: one that waits for 5 ms and leaves the processor alone, and the suite's small ResNet-50 in ONNX Runtime.
What is shown is the median of the rounds' ratios. Where perf_analyzer comes from: docs/serving.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from triton_models import FIXED, serving

from pytest_gpuperf.serving.load import LoadPlan, load_server
from pytest_gpuperf.serving.server import Server

SHAPES = {FIXED: (1, 16), "network": (1, 3, 64, 64)}
Figures = dict[str, float] | None  # None: no three windows agreed, so there are none


def theirs(options: argparse.Namespace, server: Server, concurrency: int) -> Figures:
    """Requests/s, and percentiles in seconds, by perf_analyzer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.csv")
        command = [options.perf_analyzer, "-m", server.model, "-u", server.url, "-i", "http", "-f", file]
        command += ["-p", str(int(options.window * 1000)), "--concurrency-range", str(concurrency)]
        environment = os.environ | {"LD_LIBRARY_PATH": options.libraries}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if "Failed to obtain stable" in done.stdout + done.stderr:
            return None
        if not file.exists():
            raise SystemExit(f"perf_analyzer said:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        (row,) = csv.DictReader(file.open())
    return {"rate": float(row["Inferences/Second"])} | {f"p{p}": float(row[f"p{p} latency"]) / 1e6 for p in (50, 99)}


def ours(options: argparse.Namespace, server: Server, concurrency: int, shape: tuple[int, ...]) -> Figures:
    """The same figures, by us, under the same rule."""
    inputs = [np.random.default_rng(0).standard_normal(shape).astype(np.float32)]
    load = load_server(
        server, inputs, LoadPlan(concurrency=concurrency, requests=221, window_seconds=options.window)
    ).load
    if not load.stable or load.latency.p50 is None:
        return None
    return {"rate": load.requests_per_second, "p50": load.latency.p50, "p99": load.latency.p99 or float("nan")}


def row(options: argparse.Namespace, server: Server, name: str, concurrency: int) -> str:
    """Both, in turns and in changing order."""
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    for number in range(options.rounds):
        if number % 2:
            we = ours(options, server, concurrency, SHAPES[name])
            they = theirs(options, server, concurrency)
        else:
            they = theirs(options, server, concurrency)
            we = ours(options, server, concurrency, SHAPES[name])
        if we is not None and they is not None:
            rounds.append((we, they))
    shown = [f"{name}", str(concurrency)]
    if not rounds:
        return f"| {' | '.join(shown)} | never stable | | | | | 0 of {options.rounds} |"
    ratios = sorted(we["rate"] / they["rate"] for we, they in rounds)
    for key, scale in (("rate", 1.0), ("p50", 1e3), ("p99", 1e3)):
        middles = [statistics.median(pair[i][key] for pair in rounds) * scale for i in (0, 1)]
        shown.append(" / ".join(f"{m:.2f}" for m in middles))
    shown += [f"{statistics.median(ratios):.3f}", f"{ratios[0]:.3f} to {ratios[-1]:.3f}"]
    return f"| {' | '.join(shown)} | {len(rounds)} of {options.rounds} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--perf-analyzer", required=True, metavar="PATH")
    parser.add_argument("--libraries", default="", metavar="DIR", help="where libb64.so.0d and libcudart.so.12 are")
    parser.add_argument("--models", nargs="+", default=tuple(SHAPES), choices=tuple(SHAPES))
    parser.add_argument("--concurrency", type=int, nargs="+", default=(1, 2, 4, 16))
    parser.add_argument("--window", type=float, default=1.0, help="seconds, for both")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print("ours / perf_analyzer; the ratio is of requests/s")
    print("| model | concurrency | requests/s | p50, ms | p99, ms | ratio | of the rounds | both stable |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with serving() as servers:
        for name in options.models:
            for concurrency in options.concurrency:
                print(row(options, servers[name], name, concurrency), flush=True)


if __name__ == "__main__":
    main()
