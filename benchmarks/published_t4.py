"""Write `baselines/t4.json`: what a study published of a T4, so that others can be held against it.

    python benchmarks/published_t4.py

The figures stand here as they were published. What the study did not state (driver, power, batches other than 32,
the spread between sessions) is left out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from pytest_gpuperf.records.files import write_baseline
from pytest_gpuperf.records.model import Accepted, Baseline, Device, Environment, Series, Session
from pytest_gpuperf.records.units import GiB

TARGET = Path(__file__).parents[1] / "baselines" / "t4.json"
TEST = "tests/perf/test_models.py::test_model"  # of this project's suite: what it measures at the scale "full"
SOURCE = (
    "a study of FP16 autocast and TorchScript on a T4 (CUDA 12.1, torch 2.5.1): means of 100 iterations timed by CUDA "
    "events after 10 warm-ups, inference_mode, batch 32"
)
WRITTEN_DOWN = "2026-11-21T00:00:00Z"  # the study does not say when it measured, and a session has a time
BATCH = 32
ITERATIONS = 100
MB = 10**6  # as published; a study that divided by 2**20 would mean 4.9 % more


@dataclass(frozen=True)
class Row:
    """One line of the published table."""

    model: str
    precision: str
    backend: str
    latency: float  # milliseconds
    throughput: float  # images a second: kept to check the row, since a baseline keeps the time
    memory: float  # MB


ROWS = (
    Row("resnet50", "fp32", "eager", 83.99, 381.0, 776.5),
    Row("resnet50", "autocast_fp16", "eager", 39.19, 816.4, 633.1),
    Row("resnet50", "fp32", "torchscript", 62.87, 509.0, 780.1),
    Row("vit_b_16", "fp32", "eager", 326.96, 97.9, 779.8),
    Row("vit_b_16", "autocast_fp16", "eager", 77.09, 415.1, 872.5),
)

# The study names the card. Its memory and capability are the model's: 15 GiB by NVML, Turing.
DEVICE = Device(kind="cuda", name="Tesla T4", memory=15 * GiB, capability="7.5")


def published() -> Baseline:
    """The study's table as a baseline."""
    session = Session(id="published", time=WRITTEN_DOWN)
    return Baseline(
        provenance="published",
        source=SOURCE,
        environment=Environment(device=DEVICE, software={"cuda": "12.1", "torch": "2.5.1"}),
        sessions=(session,),
        cases=tuple(_accepted(row, session.id) for row in ROWS),
    )


def _accepted(row: Row, session: str) -> Accepted:
    parameters = {"model": row.model, "precision": row.precision, "backend": row.backend, "batch": str(BATCH)}
    test = f"{TEST}[{'-'.join(parameters.values())}]"
    return Accepted(
        id=test,
        test=test,
        parameters={**parameters, "scale": "full"},
        items=BATCH,
        clock="cuda-event",
        series=(
            Series(
                session=session,
                count=ITERATIONS,
                medians=(row.latency / 1000,),
                peak_memory=round(row.memory * MB),
            ),
        ),
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    write_baseline(target, published())
    print(f"{target}: {len(ROWS)} published cases")
