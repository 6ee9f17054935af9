"""How often parity is wrong: correct runs flagged, and planted errors missed.  python benchmarks/parity_draws.py

Each precision gets 200 drawn cases (models x back ends x batches, odd inputs among them); each layer of each model is
scaled by 1.01 in turn. Prints one line a precision, with its seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings
from pathlib import Path
from time import perf_counter

import torch

from pytest_gpuperf.backends import PRECISIONS, limit_of, opened
from pytest_gpuperf.models import Workload, load
from pytest_gpuperf.parity.networks import truth_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from drawn_inputs import KINDS, SCALES, Drawn
from planted import layers, scaled

MODELS = ("resnet50", "vit_b_16", "convnext_tiny", "ViT-B-32")
BACKENDS = ("eager", "torchscript")


def correct_runs(workloads: list[Workload], precision: str, device: str, cases: int, rng: random.Random) -> str:
    """So many drawn cases of what is right."""
    flagged = beyond = 0
    worst = {"l2": 0.0, "largest": 0.0, "angle": 0.0}
    each = cases // (len(workloads) * len(BACKENDS))
    for workload in workloads:
        for backend in BACKENDS:
            batch, done = rng.choice((1, 2, 3, 4)), 0
            with opened(workload, batch, backend=backend, precision=precision, device=device) as network:
                while done < each:
                    drawn = Drawn(batch, rng.randrange(2, 10_000), rng.choice(SCALES), rng.choice(KINDS))
                    given = drawn.of(workload)
                    truth = truth_of(network, given)
                    if not truth.representable:
                        beyond += 1
                        continue
                    done += 1
                    found = truth.judge(network(*network.fitted(given)))
                    worst = {
                        k: max(v, getattr(found.candidate, k) / getattr(found.allowed, k)) for k, v in worst.items()
                    }
                    if not found.agrees:
                        flagged += 1
                        print(f"  flagged: {workload.name} {backend} {drawn}\n{found.message}")
    shares = ", ".join(f"{name} {share:.2f}" for name, share in worst.items())
    drawn = each * len(workloads) * len(BACKENDS)
    return f"flagged {flagged} of {drawn} ({beyond} out of range; of what is allowed, at most used: {shares})"


def planted_errors(workloads: list[Workload], precision: str, device: str) -> str:
    """Each layer's weights scaled by 1.01, run eagerly on eight images."""
    caught = total = 0
    for workload in workloads:
        with opened(workload, 8, precision=precision, device=device) as network:
            given = workload.inputs(8, seed=1)
            truth = truth_of(network, given)
        for layer in layers(workload.module):
            wrong = Workload(
                workload.name,
                workload.scale,
                type(workload.built)(scaled(workload.module, layer), workload.built.inputs),
            )
            with opened(wrong, 8, precision=precision, device=device) as network:
                caught += not truth.judge(network(*network.fitted(given))).agrees
            total += 1
    return f"1.01 in one layer caught in {caught} of {total}"


def main() -> None:
    """Print a line a precision."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    workloads = [load(name, "smoke") for name in MODELS]
    for precision in options.precisions.split(","):
        if limit_of("eager", precision, options.device) is None:
            start = perf_counter()
            rng = random.Random(options.seed)
            print(f"{precision}: {correct_runs(workloads, precision, options.device, options.cases, rng)}", flush=True)
            print(
                f"  {planted_errors(workloads, precision, options.device)} [{perf_counter() - start:.0f} s]", flush=True
            )


if __name__ == "__main__":
    main()
