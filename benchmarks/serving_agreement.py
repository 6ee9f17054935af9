"""Our load generator beside Triton's perf_analyzer, on one server, under the same load, in turns.

    python benchmarks/serving_agreement.py HOST:PORT MODEL --perf-analyzer PATH --libraries DIR

What is shown for each concurrency is the median of the rounds' ratios, and the percentiles beside each other. Where
perf_analyzer comes from: docs/serving.md.
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

from pytest_gpuperf.reports.load import doubts
from pytest_gpuperf.serving.load import LoadPlan, load_server
from pytest_gpuperf.serving.server import Server

WINDOW = 2.0  # seconds, for both


def theirs(options: argparse.Namespace, concurrency: int) -> dict[str, float] | None:
    """Requests/s and percentiles in seconds, by perf_analyzer; None where no three windows of its agreed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.csv")
        command = [options.perf_analyzer, "-m", options.model, "-u", options.url, "-i", "http", "-f", file]
        command += ["-p", str(int(WINDOW * 1000)), "--concurrency-range", str(concurrency), "-b", str(options.batch)]
        environment = os.environ | {"LD_LIBRARY_PATH": options.libraries}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if "Failed to obtain stable" in done.stdout + done.stderr:  # then it gives no figures
            return None
        if not file.exists():
            raise SystemExit(f"perf_analyzer said:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        (row,) = csv.DictReader(file.open())
    figures = {f"p{p}": float(row[f"p{p} latency"]) / 1e6 for p in (50, 99)}
    rate = float(row["Inferences/Second"]) / options.batch
    return figures | {"rate": rate}


def ours(server: Server, options: argparse.Namespace, concurrency: int) -> dict[str, float] | None:
    """The same figures, by us, under the same rule."""
    shape = [options.batch, *options.shape]
    inputs = [np.random.default_rng(0).standard_normal(shape).astype(np.float32)]
    plan = LoadPlan(batch=options.batch, concurrency=concurrency, requests=221, window_seconds=WINDOW)
    load = load_server(server, inputs, plan).load
    for doubt in doubts(load):
        print(f"  concurrency {concurrency}: {doubt[:100]}")
    if not load.stable:
        return None
    assert load.latency.p50 is not None
    assert load.latency.p99 is not None
    return {"rate": load.requests_per_second, "p50": load.latency.p50, "p99": load.latency.p99}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", metavar="HOST:PORT")
    parser.add_argument("model")
    parser.add_argument("--perf-analyzer", required=True, metavar="PATH")
    parser.add_argument("--libraries", default="", metavar="DIR", help="where libb64.so.0d and libcudart.so.12 are")
    parser.add_argument("--shape", type=int, nargs="+", default=(3, 64, 64))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--concurrency", type=int, nargs="+", default=(1, 4, 16))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    server = Server(name="benchmark", kind="remote", url=options.url, model=options.model)
    rows = []
    for concurrency in options.concurrency:
        rounds = []
        for number in range(options.rounds):
            pair = [lambda c=concurrency: ours(server, options, c), lambda c=concurrency: theirs(options, c)]
            taken = [take() for take in (pair if number % 2 == 0 else reversed(pair))]
            we, they = taken if number % 2 == 0 else reversed(taken)
            if we is None or they is None:
                print(f"  concurrency {concurrency}: {'ours' if we is None else 'theirs'} was never stable", flush=True)
                continue
            rounds.append((we, they))
            print(f"  concurrency {concurrency}: {we['rate']:.1f} against {they['rate']:.1f} requests/s", flush=True)
        if not rounds:
            continue
        ratios = [we["rate"] / they["rate"] for we, they in rounds]
        middle = {
            who: {key: statistics.median(r[i][key] for r in rounds) for key in ("rate", "p50", "p99")}
            for i, who in enumerate(("we", "they"))
        }
        we, they = middle["we"], middle["they"]
        rows.append(
            f"| {concurrency} | {we['rate']:.1f} | {they['rate']:.1f} | {statistics.median(ratios):.3f} "
            f"[{min(ratios):.3f}, {max(ratios):.3f}] | {we['p50'] * 1e3:.2f} / {they['p50'] * 1e3:.2f} | "
            f"{we['p99'] * 1e3:.2f} / {they['p99'] * 1e3:.2f} | {len(rounds)} of {options.rounds} |"
        )
    print("| concurrency | ours, requests/s | perf_analyzer | ratio [rounds] | p50, ms | p99, ms | both stable |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
