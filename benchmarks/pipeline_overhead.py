"""What a pipeline loses beside its slowest stage, and what handing an item on costs: beside torch's DataLoader.

    python benchmarks/pipeline_overhead.py            # two minutes
    python benchmarks/pipeline_overhead.py --seconds 5 --rounds 5

Three stages of known times, once by resting and once by work that lets the interpreter go, at queue 2; then stages that
do nothing. The workers of a DataLoader run the first two stages, each of them both, and the last one runs where it is
iterated over: times and workers are chosen so that both have nearly the same bound. Both run in turns, and their ratio
is of the medians.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from pytest_gpuperf.pipeline import PipelineStage, run_pipeline
from pytest_gpuperf.pipeline.stage import Items

WORK = bytes(4_000_000)
LITTLE = WORK[: len(WORK) // 16]


def rest_5(item: Any) -> Any:
    sleep(0.005)
    return item


def rest_10(item: Any) -> Any:
    sleep(0.010)
    return item


def hash_little(item: Any) -> Any:
    hashlib.sha256(LITTLE).digest()
    return item


def hash_much(item: Any) -> Any:
    hashlib.sha256(WORK).digest()
    return item


def same(item: Any) -> Any:
    return item


class Stages(Dataset[Any]):
    """The first two stages, as a DataLoader has them."""

    def __init__(self, first: Callable[[Any], Any], second: Callable[[Any], Any], items: Any) -> None:
        self.first, self.second, self.items = first, second, items

    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, index: int) -> Any:
        return self.second(self.first(self.items[index % len(self.items)]))


def loader_rate(stages: list[Callable[[Any], Any]], items: Any, workers: int, seconds: float) -> float:
    """Items a second of a DataLoader whose consumer runs the last stage."""
    loader = DataLoader(
        Stages(stages[0], stages[1], items),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
    )
    batches: Iterator[Any] = iter(loader)
    for _ in range(2 * workers + 2):
        stages[2](next(batches))
    count, began = 0, perf_counter()
    while perf_counter() - began < seconds:
        stages[2](next(batches))
        count += 1
    return count / (perf_counter() - began)


def rounds(
    title: str, stages: list[Callable[[Any], Any]], where: str, items: Any, workers: int, options: argparse.Namespace
) -> None:
    """Both in turns; a line of the table."""
    made = [PipelineStage(name, fn, where=where) for name, fn in zip("ab", stages, strict=False)]
    made.append(PipelineStage("c", stages[2]))
    ours, theirs, kept = [], [], []
    for _ in range(options.rounds):
        figures = run_pipeline(made, items, queue=2, budget=options.seconds)
        ours.append(1 / figures.seconds_per_item)
        kept.append(figures.efficiency)
        theirs.append(loader_rate(stages, items, workers, options.seconds))
    ratio = median(ours) / median(theirs)
    print(
        f"| {title} | {where} | {median(kept):.1%} [{min(kept):.1%}, {max(kept):.1%}] | {median(ours):.1f} | "
        f"{median(theirs):.1f} ({workers}) | {ratio:.2f} | {1e6 / median(ours):.0f} |",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    small, large = list(range(64)), [torch.zeros(8, 3, 224, 224) for _ in range(2)]
    arrays = [np.zeros((8, 3, 224, 224), np.float32) for _ in range(2)]
    print("| stages | where | of the slowest stage's bound | items/s | DataLoader (workers) | ratio | us an item |")
    print("|---|---|---|---|---|---|---|")
    for where in ("thread", "process"):
        rounds("rest 10, 10, 5 ms", [rest_10, rest_10, rest_5], where, small, 2, chosen)
        rounds("hash 0.25, 4, 0.25 MB", [hash_little, hash_much, hash_little], where, small, 1, chosen)
        rounds("nothing, a number", [same] * 3, where, small, 2, chosen)
        rounds("nothing, a tensor of 4.8 MB", [same] * 3, where, large, 2, chosen)
    rounds("nothing, an array of 4.8 MB", [same] * 3, "process", arrays, 2, chosen)
    began, count = perf_counter(), 0
    for item in Items(small):
        same(same(same(item)))
        count += 1
        if count == 1_000_000:
            break
    print(f"\nA loop without stages: {(perf_counter() - began) * 1e6 / count:.2f} us an item")


if __name__ == "__main__":
    main()
