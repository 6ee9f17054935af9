"""What our load generator costs and shows: beside others on a null model; JSON beside binary; too much of a load.

python benchmarks/serving_client.py [--perf-analyzer PATH --libraries DIR] [--only cost wire overload]
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from triton_models import FIXED, NULL, SINK, serving

from pytest_gpuperf.records.served_load import Load
from pytest_gpuperf.reports.load_report import remarks
from pytest_gpuperf.serving.load_server import LoadPlan, load_server
from pytest_gpuperf.serving.server import Server

LOOP = """
import sys, threading, time
import numpy as np
import tritonclient.http as client

url, model, concurrency, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
counts = [0] * concurrency

def ask(i):
    with client.InferenceServerClient(url) as server:
        given = client.InferInput("x", [1, 1], "FP32")
        given.set_data_from_numpy(np.zeros((1, 1), np.float32))
        while time.perf_counter() < end:
            server.infer(model, [given])
            counts[i] += 1

begun = time.perf_counter()
end = begun + seconds
threads = [threading.Thread(target=ask, args=(i,)) for i in range(concurrency)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sum(counts) / (time.perf_counter() - begun), sum(counts))
"""
SECONDS = 3.0


def spent(do: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Requests/s, and the processor seconds of the children for 1,000 requests."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate, count = do()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return rate, used / count * 1000


def ours(server: Server, concurrency: int) -> tuple[float, float]:
    load = load_server(
        server, [np.zeros((1, 1), np.float32)], LoadPlan(concurrency=concurrency, window_seconds=SECONDS / 3, budget=0)
    ).load
    return load.requests_per_second, load.client.seconds * 1000


def plain_loop(server: Server, concurrency: int) -> tuple[float, float]:
    command = [sys.executable, "-c", LOOP, server.url, server.model, str(concurrency), str(SECONDS)]

    def do() -> tuple[float, float]:
        rate, count = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return float(rate), float(count)

    return spent(do)


def perf_analyzer(options: argparse.Namespace, server: Server, concurrency: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.csv")
        command = [options.perf_analyzer, "-m", server.model, "-u", server.url, "-i", "http", "-f", file]
        command += ["-p", str(int(SECONDS * 1000 / 3)), "--concurrency-range", str(concurrency), "-s", "1000"]

        def do() -> tuple[float, float]:
            done = subprocess.run(
                command,
                env=os.environ | {"LD_LIBRARY_PATH": options.libraries},
                capture_output=True,
                text=True,
                check=True,
            )
            (row,) = csv.DictReader(file.open())
            rate = float(row["Inferences/Second"])
            count = next(int(line.split(":")[1]) for line in done.stdout.splitlines() if "Request count" in line)
            return rate, count

        return spent(do)


def cost(options: argparse.Namespace, server: Server) -> None:
    """Everyone in turns; medians of the rounds, and of the rounds' ratios."""
    who: dict[str, Callable[[int], tuple[float, float]]] = {
        "ours": lambda c: ours(server, c),
        "tritonclient, plain loop": lambda c: plain_loop(server, c),
    }
    if options.perf_analyzer:
        who["perf_analyzer"] = lambda c: perf_analyzer(options, server, c)
    print("| concurrency | generator | requests/s | ours over it | of a core at 1,000/s |\n|---:|---|---:|---:|---:|")
    for concurrency in (1, 8, 16):
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in who}
        for number in range(options.rounds):
            for name in list(who) if number % 2 else reversed(list(who)):
                taken[name].append(who[name](concurrency))
        for name, figures in taken.items():
            ratio = statistics.median(a[0] / b[0] for a, b in zip(taken["ours"], figures, strict=True))
            rate, core = (statistics.median(column) for column in zip(*figures, strict=True))
            print(f"| {concurrency} | {name} | {rate:.0f} | {ratio:.2f} | {core:.1%} |", flush=True)


def wire(server: Server) -> None:
    """A batch of 32 images of 224 x 224, to a model that only takes them."""
    inputs = [np.random.default_rng(0).standard_normal((32, 3, 224, 224)).astype(np.float32)]
    loads: dict[str, Load] = {}
    for protocol in ("binary", "json"):
        plan = LoadPlan(batch=32, concurrency=1, requests=4, window_seconds=0.1, budget=0, protocol=protocol)
        loads[protocol] = load_server(server, inputs, plan).load
    print("| batch 32, 3 x 224 x 224 | binary | JSON | ratio |\n|---|---:|---:|---:|")
    for name, read, unit in (
        ("request, MB", lambda load: load.wire.request_bytes / 1e6, ".1f"),
        ("serialise, ms", lambda load: load.wire.serialise * 1e3, ".1f"),
        ("mean latency, ms", lambda load: load.latency.mean * 1e3, ".1f"),
        ("arrays to arrays, ms", lambda load: load.end_to_end * 1e3, ".1f"),
    ):
        binary, text = read(loads["binary"]), read(loads["json"])
        print(f"| {name} | {binary:{unit}} | {text:{unit}} | {text / binary:.1f} |")


def overload(server: Server) -> None:
    """A closed loop says what it can do; then 0.8 and 1.2 times that arrive by themselves."""
    inputs = [np.zeros((1, 16), np.float32)]
    most = load_server(server, inputs, LoadPlan(concurrency=16)).load.requests_per_second
    print(f"capacity: {most:.0f} requests/s\n")
    print("| offered | answered | p50 from sending, ms | p50 from the schedule, ms | by window, ms | it grows by |")
    print("|---:|---:|---:|---:|---:|---:|")
    for share in (0.8, 1.2):
        load = load_server(server, inputs, LoadPlan(concurrency=16, rate=share * most)).load
        assert load.from_schedule is not None
        by_window = ", ".join(f"{w.latency * 1e3:.0f}" for w in load.windows)
        print(
            f"| {share}x | {load.requests_per_second:.0f} | {(load.latency.p50 or 0) * 1e3:.1f} | "
            f"{(load.from_schedule.p50 or 0) * 1e3:.1f} | {by_window} | {(load.growth or 0) * 1e3:.0f} ms/s |"
        )
        print("\n".join(f"  {r}" for r in remarks(load)), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--perf-analyzer", metavar="PATH")
    parser.add_argument("--libraries", default="", metavar="DIR", help="where libb64.so.0d and libcudart.so.12 are")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=("cost", "wire", "overload"))
    options = parser.parse_args()
    with serving() as servers:
        if "cost" in options.only:
            cost(options, servers[NULL])
        if "wire" in options.only:
            wire(servers[SINK])
        if "overload" in options.only:
            overload(servers[FIXED])


if __name__ == "__main__":
    main()
