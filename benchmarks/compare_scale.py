"""What `gpuperf compare` costs: a run of N cases beside a baseline of N cases x 10 sessions, in fresh processes.

    python benchmarks/compare_scale.py [CASES ...]

Prints a row a size: the whole command (wall time and peak memory of its process, interpreter and output included),
the sizes of the two files, and `pytest-benchmark compare` on two files of as many benchmarks.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_gpuperf.records.files import write_baseline, write_run
from pytest_gpuperf.records.model import (
    Accepted,
    Baseline,
    Case,
    Device,
    Environment,
    Measurement,
    Run,
    Scope,
    Series,
    Session,
)

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
SESSIONS = 10
BLOCKS, SAMPLES = 16, 4  # of the run's one session: 64 samples a case
WHERE = Environment(
    device=Device(kind="cuda", name="Tesla T4", memory=15 * 2**30, capability="7.5"),
    software={"python": "3.11.9", "torch": "2.15.0"},
)


def session(number: int) -> Session:
    """One a day, with canaries."""
    canaries = {name: tuple(random.gauss(1e-3, 3e-6) for _ in range(50)) for name in ("product", "copy", "loop")}
    return Session(id=f"s{number}", time=f"2026-01-{number + 1:02}T02:00:00Z", card="c0ffee", canaries=canaries)


def name(number: int) -> str:
    """A node id of a usual length."""
    return f"tests/perf/test_vision_{number // 100:03}.py::test_model[resnet50-fp16-batch{number % 100}-cuda-graph]"


def noisy(level: float, count: int) -> tuple[float, ...]:
    """Times of a steady machine: 0.3 % within a session."""
    return tuple(level * math.exp(random.gauss(0, 0.003)) for _ in range(count))


def write_ours(folder: Path, cases: int) -> None:
    """A baseline and a run. The last case is 20 % slower."""
    levels = [random.uniform(1e-4, 1e-1) for _ in range(cases)]
    accepted = [
        Accepted(
            id=name(i),
            test=name(i),
            items=8,
            clock="cuda-event",
            series=tuple(Series(session=f"s{s}", count=64, medians=noisy(level, 16)) for s in range(SESSIONS)),
        )
        for i, level in enumerate(levels)
    ]
    sessions = tuple(session(s) for s in range(SESSIONS + 1))
    levels[-1] *= 1.2
    measured = [
        Case(
            id=name(i),
            test=name(i),
            measurements=(
                Measurement(
                    session=f"s{SESSIONS}",
                    items=8,
                    clock="cuda-event",
                    blocks=tuple(noisy(level, SAMPLES) for _ in range(BLOCKS)),
                    span_calls=1,
                    ended="steady",
                    interval=0.002,
                    latencies=noisy(level, 11),
                ),
            ),
        )
        for i, level in enumerate(levels)
    ]
    baseline, run = folder / "baseline.json", folder / "run.json"
    kept = Baseline(provenance="measured", environment=WHERE, sessions=sessions[:-1], cases=tuple(accepted))
    write_baseline(baseline, kept)
    write_run(run, Run(environment=WHERE, sessions=sessions[-1:], scope=Scope(paths=(".",)), cases=tuple(measured)))


def write_theirs(folder: Path, cases: int) -> None:
    """Two saved runs of pytest-benchmark, in the layout that it reads, without the raw data."""
    storage = folder / "storage"
    for number in (1, 2):
        benchmarks = []
        for i in range(cases):
            times = sorted(noisy(0.01, 64))
            stats = {
                "min": times[0], "max": times[-1], "mean": sum(times) / 64, "stddev": 1e-5, "rounds": 64,
                "median": times[32], "iqr": 1e-5, "q1": times[16], "q3": times[48], "iqr_outliers": 0,
                "stddev_outliers": 0, "outliers": "0;0", "ld15iqr": times[0], "hd15iqr": times[-1],
                "ops": 100.0, "total": sum(times), "iterations": 1,
            }  # fmt: skip
            full = name(i)
            benchmarks.append(
                {
                    "group": None,
                    "name": full.split("::")[1],
                    "fullname": full,
                    "params": None,
                    "param": None,
                    "extra_info": {},
                    "options": {},
                    "stats": stats,
                }
            )
        file = storage / "Linux-CPython-3.11-64bit" / f"{number:04}_run.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        machine = {"machine": "x86_64", "cpu": {"brand_raw": "cpu"}}
        content = {
            "machine_info": machine, "commit_info": {"id": "unknown"}, "benchmarks": benchmarks,
            "datetime": "2026-01-01T00:00:00", "version": "5.0.0",
        }  # fmt: skip
        file.write_text(json.dumps(content))


def apart(write: Callable[[Path, int], None], folder: Path, cases: int) -> None:
    """In a process of its own: a spawned command's peak memory counts from that of the process that spawned it."""
    process = multiprocessing.get_context("spawn").Process(target=write, args=(folder, cases))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{write.__name__} for {cases} cases ended with exit code {process.exitcode}")


def cost(command: list[str], folder: Path) -> tuple[float, float, float, int]:
    """Seconds by the wall and of processor, peak MB and exit code of one fresh process."""
    started = time.perf_counter()
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)  # away from our pytest settings
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, process.returncode


def size(path: Path) -> float:
    """In MB."""
    return path.stat().st_size / 1e6


def main() -> None:
    """Measure ours three times a size and print the quickest; the machine may be doing other things too."""
    random.seed(1)
    scripts = Path(sysconfig.get_path("scripts"))
    gpuperf, benchmark = str(scripts / "gpuperf"), str(scripts / "py.test-benchmark")
    theirs_there = shutil.which(benchmark) is not None
    ours_header = f"{'gpuperf s':>10} {'cpu s':>6} {'MB':>5} {'exit':>4} {'us a case':>9}"
    print(f"{'cases':>6} {'baseline MB':>11} {'run MB':>6} {ours_header} | pytest-benchmark s   cpu s    MB exit")
    for cases in [int(a) for a in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as name_of_folder:
            folder = Path(name_of_folder)
            apart(write_ours, folder, cases)
            baseline, run = folder / "baseline.json", folder / "run.json"
            ours = min(cost([gpuperf, "compare", str(baseline), str(run)], folder) for _ in range(3))
            theirs = "-"
            if theirs_there:
                apart(write_theirs, folder, cases)
                asked = [benchmark, f"--storage=file://{folder / 'storage'}", "compare", "0001", "0002"]
                wall, processor, megabytes, code = cost(asked, folder)
                theirs = f"{wall:>18.2f} {processor:>7.2f} {megabytes:>5.0f} {code:>4}"
            wall, processor, megabytes, code = ours
            print(
                f"{cases:>6} {size(baseline):>11.1f} {size(run):>6.1f} {wall:>10.2f} {processor:>6.2f} "
                f"{megabytes:>5.0f} {code:>4} {processor / cases * 1e6:>9.0f} | {theirs}",
                flush=True,
            )


if __name__ == "__main__":
    main()
