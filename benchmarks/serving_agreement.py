"""Our load generator beside Triton's perf_analyzer, on one server, under the same load, in turns.

    python benchmarks/serving_agreement.py --perf-analyzer PATH --libraries DIR [--rounds 9]

Two models: one that waits for 5 ms and leaves the processor alone, and the suite's small ResNet-50 in ONNX Runtime.
Each takes three windows as they are, stable or not (`-s 1000`, a budget of 0): what the machine does in a minute, it
does to both. Shown is the median of the rounds' ratios. Where perf_analyzer comes from: docs/serving.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from triton_models import FIXED, serving

from pytest_gpuperf.serving.exchange import got
from pytest_gpuperf.serving.load_server import LoadPlan, load_server
from pytest_gpuperf.serving.server import Server

SHAPES = {FIXED: (1, 16), "network": (1, 3, 64, 64)}
Figures = dict[str, float]  # requests/s, and percentiles in seconds


def array(shape: tuple[int, ...]) -> np.ndarray:
    """What both send: how long a network takes may depend on its numbers."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def theirs(options: argparse.Namespace, server: Server, concurrency: int, shape: tuple[int, ...]) -> Figures:
    """By perf_analyzer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.csv")
        (given,) = json.loads(got(server, f"/v2/models/{server.model}"))["inputs"]
        Path(folder, given["name"]).write_bytes(array(shape).tobytes())  # a file for each input, by its name
        command = [options.perf_analyzer, "-m", server.model, "-u", server.url, "-i", "http", "-f", file, "-s", "1000"]
        command += [
            "-p",
            str(int(options.window * 1000)),
            "--concurrency-range",
            str(concurrency),
            "--input-data",
            folder,
        ]
        environment = os.environ | {"LD_LIBRARY_PATH": options.libraries}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not file.exists():
            raise SystemExit(f"perf_analyzer said:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        (row,) = csv.DictReader(file.open())
    return {"rate": float(row["Inferences/Second"])} | {f"p{p}": float(row[f"p{p} latency"]) / 1e6 for p in (50, 99)}


def ours(options: argparse.Namespace, server: Server, concurrency: int, shape: tuple[int, ...]) -> Figures:
    """By us."""
    plan = LoadPlan(concurrency=concurrency, requests=1, window_seconds=options.window, budget=0.0)
    load = load_server(server, [array(shape)], plan).load
    percentiles = {"p50": load.latency.p50, "p99": load.latency.p99}
    return {"rate": load.requests_per_second} | {k: math.nan if v is None else v for k, v in percentiles.items()}


def row(options: argparse.Namespace, server: Server, name: str, concurrency: int) -> str:
    """Both, in turns and in changing order."""
    rounds: list[tuple[Figures, Figures]] = []
    for number in range(options.rounds):
        if number % 2:
            we = ours(options, server, concurrency, SHAPES[name])
            they = theirs(options, server, concurrency, SHAPES[name])
        else:
            they = theirs(options, server, concurrency, SHAPES[name])
            we = ours(options, server, concurrency, SHAPES[name])
        rounds.append((we, they))
    shown = [name, str(concurrency)]
    for key, scale in (("rate", 1.0), ("p50", 1e3), ("p99", 1e3)):
        middles = [statistics.median(pair[i][key] for pair in rounds) * scale for i in (0, 1)]
        shown.append(" / ".join("-" if math.isnan(m) else f"{m:.2f}" for m in middles))
    low, middle, high = statistics.quantiles([we["rate"] / they["rate"] for we, they in rounds], n=4)
    return f"| {' | '.join(shown)} | {middle:.3f} | {low:.3f} to {high:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--perf-analyzer", required=True, metavar="PATH")
    parser.add_argument("--libraries", default="", metavar="DIR", help="where libb64.so.0d and libcudart.so.12 are")
    parser.add_argument("--models", nargs="+", default=tuple(SHAPES), choices=tuple(SHAPES))
    parser.add_argument("--concurrency", type=int, nargs="+", default=(1, 4, 16))
    parser.add_argument("--window", type=float, default=1.0, help="seconds, for both")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print("ours / perf_analyzer; the ratio is of requests/s")
    print("| model | concurrency | requests/s | p50, ms | p99, ms | ratio | half of the rounds |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with serving() as servers:
        for name in options.models:
            for concurrency in options.concurrency:
                print(row(options, servers[name], name, concurrency), flush=True)


if __name__ == "__main__":
    main()
