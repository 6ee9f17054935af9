"""How wrong the energy of a window is, against a power trace that is known to the joule.

    python benchmarks/energy_window.py [--windows 6] [--seconds 5 30] [--others PYTHON]

A scripted NVML (tests/support/nvml, built with gcc) plays a card that alternates between 230 and 310 W, with
a counter that moves every 100 ms and watts that move every 20 ms. Windows begin at no particular phase. Every tool
reads the same library through the real pynvml:

    gpu_power          this project's windows
    energy-score       the sum of laps of a quarter of a second: the queries of `gpuperf energy-score`
    naive              the counter's value at the end minus that at the start
    zeus, codecarbon   in the interpreter of --others, a virtual environment where they are installed
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from nvml.standin import SCRIPT, Gpu, Machine, build, load

from pytest_gpuperf.device.board import GpuMeter
from pytest_gpuperf.device.laps import Laps
from pytest_gpuperf.device.power import IDLE_SECONDS, GpuPower
from pytest_gpuperf.device.visible import visible_devices

LOW, HIGH = 230.0, 310.0
STEP, ROUND = 0.237, 0.531  # seconds at the lower level, and of both: no multiple of the counter's period
LAP = 0.25  # seconds

OTHERS = {
    "zeus": """
from zeus.monitor import ZeusMonitor
monitor = ZeusMonitor(gpu_indices=[0], cpu_indices=[])
def window(seconds):
    monitor.begin_window("w", sync_execution=False)
    start = time.monotonic()
    time.sleep(seconds)
    end = time.monotonic()
    return start, end, monitor.end_window("w", sync_execution=False).gpu_energy[0]
""",
    "codecarbon": """
from codecarbon import OfflineEmissionsTracker
def window(seconds):
    tracker = OfflineEmissionsTracker(country_iso_code="FRA", gpu_ids=[0], save_to_file=False, log_level="critical")
    tracker.start()
    start = time.monotonic()
    time.sleep(seconds)
    end = time.monotonic()
    tracker.stop()
    return start, end, tracker.final_emissions_data.gpu_energy * 3.6e6
""",
}
CHILD = """
import json, sys, time
{tool}
seconds, phases = json.loads(sys.argv[1])
for phase in phases:
    time.sleep(phase)
    print("RESULT", json.dumps(window(seconds)), flush=True)
"""


def truth(start: float, end: float) -> float:
    """Joules between two moments."""
    rounds = [(0.0, LOW), (STEP, HIGH), (ROUND, 0.0)]

    def until(moment: float) -> float:
        whole, rest = divmod(moment, ROUND)
        partly = sum(max(0.0, min(b, rest) - a) * w for (a, w), (b, _) in pairwise(rounds))
        return whole * (STEP * LOW + (ROUND - STEP) * HIGH) + partly

    return until(end) - until(start)


@contextmanager
def machine() -> Iterator[tuple[Machine, Path]]:
    """The scripted card."""
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder) / "lib")
        os.environ[SCRIPT] = str(Path(folder) / "machine")
        card = Gpu(power={0: LOW, STEP: HIGH}, power_repeat=ROUND, counter_period=0.1, power_period=0.02)
        yield Machine(Path(folder) / "machine", card), library


def gpu_power(_card: Machine, seconds: float, phases: list[float]) -> Iterator[tuple[float, float, float]]:
    devices = visible_devices({})
    power = GpuPower(GpuMeter(devices[0]))
    for phase in phases:
        time.sleep(phase)
        with power() as window:
            start = time.monotonic()
            time.sleep(seconds)
            end = time.monotonic()
        yield start, end, window.joules


def laps(_card: Machine, seconds: float, phases: list[float]) -> Iterator[tuple[float, float, float]]:
    meter = GpuMeter(visible_devices({})[0])
    period = GpuPower(meter).period
    for phase in phases:
        time.sleep(phase)
        with Laps(meter, period) as counted:
            time.sleep(IDLE_SECONDS)
            counted.wait_for_edge()
            start = end = time.monotonic()
            counted.start(start)
            joules = 0.0
            while end - start < seconds:
                time.sleep(LAP)
                end = time.monotonic()
                is_last = end - start >= seconds
                joules += (counted.last_lap(end) if is_last else counted.lap(end)).joules
        yield start, end, joules


def naive(_card: Machine, seconds: float, phases: list[float]) -> Iterator[tuple[float, float, float]]:
    meter = GpuMeter(visible_devices({})[0])
    for phase in phases:
        time.sleep(phase)
        start, before = time.monotonic(), meter.energy()
        time.sleep(seconds)
        yield start, time.monotonic(), meter.energy() - before


def other(
    name: str, python: str, library: Path
) -> Callable[[Machine, float, list[float]], Iterator[tuple[float, float, float]]]:
    def windows(card: Machine, seconds: float, phases: list[float]) -> Iterator[tuple[float, float, float]]:
        code = CHILD.format(tool=OTHERS[name])
        smi = library / "nvidia-smi"  # codecarbon looks for the command before it looks for the library
        smi.write_text("#!/bin/sh\n")
        smi.chmod(0o755)
        environment = card.environment(library)
        done = subprocess.run(
            [python, "-c", code, json.dumps([seconds, phases])],
            env={**environment, "PATH": f"{library}:{environment['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if len(found) < len(phases):
            print(f"{name} failed:\n{done.stderr[-1500:]}", file=sys.stderr)
        yield from (tuple(json.loads(line)) for line in found)

    return windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0, 30.0])
    parser.add_argument("--others", metavar="PYTHON", help="an interpreter with zeus and codecarbon")
    options = parser.parse_args()
    dice = random.Random(0)
    with machine() as (card, library):
        load(library)
        tools = {"gpu_power": gpu_power, "energy-score": laps, "naive": naive}
        if options.others:
            tools |= {name: other(name, options.others, library) for name in OTHERS}
        print(f"{'window':>7} {'tool':<12} {'windows':>7} {'median error':>13} {'largest error':>14}")
        for seconds in options.seconds:
            phases = [dice.random() * 0.1 for _ in range(options.windows)]
            for name, tool in tools.items():
                errors = [
                    abs(joules / truth(start - card.start, end - card.start) - 1)
                    for start, end, joules in tool(card, seconds, phases)
                ]
                if errors:
                    shown = f"{median(errors):>13.2%} {max(errors):>14.2%}"
                    print(f"{seconds:>5.0f} s {name:<12} {len(errors):>7} {shown}", flush=True)


if __name__ == "__main__":
    main()
