"""How often an unchanged suite fails side by side, by how much launches of the same code differ on the machine.

    python benchmarks/paired_spreads.py [--cases 6000]

A launch's log ratio is drawn: normally; with Student's t of 3 degrees of freedom; normally, by another spread for each
case (log-normal, 0.6); or normally with one launch in fourteen slowed by 12 % on average. Five launches a case. Found:
of cases that are 5 % slower, one a suite.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from pytest_gpuperf.gate import Launch, Policy, judge_paired_suite

Shape = tuple[int, int]
LAUNCHES = 5


def normal(rng: np.random.Generator, sd: float, shape: Shape) -> np.ndarray:
    return rng.normal(0, sd, shape)


def heavy(rng: np.random.Generator, sd: float, shape: Shape) -> np.ndarray:
    return rng.standard_t(3, shape) * sd / math.sqrt(3)


def mixed(rng: np.random.Generator, sd: float, shape: Shape) -> np.ndarray:
    return rng.normal(0, sd, shape) * np.exp(rng.normal(0, 0.6, (shape[0], 1)))


def odd(rng: np.random.Generator, sd: float, shape: Shape) -> np.ndarray:
    return rng.normal(0, sd, shape) + np.where(rng.random(shape) < 1 / 14, np.abs(rng.normal(0, 0.15, shape)), 0)


MACHINES: dict[str, Callable[[np.random.Generator, float, Shape], np.ndarray]] = {
    "normal": normal,
    "t, 3": heavy,
    "each case another": mixed,
    "some launches odd": odd,
}


def launch(rng: np.random.Generator, change: float) -> Launch:
    """Three rounds of three samples: enough to read the ratio from."""
    a, b = np.exp(rng.normal(0, 1e-5, (2, 3, 3)))
    return Launch(a.tolist(), (b * math.exp(change)).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=6_000, help="a cell")
    options = parser.parse_args()
    print("| launches differ | by | tests | unchanged suites that failed | 5 % found |\n|---|---:|---:|---:|---:|")
    for name, machine in MACHINES.items():
        for sd in (0.004, 0.01, 0.02):
            for tests in (1, 8, 48):
                rng = np.random.default_rng([len(name), int(sd * 1000), tests])
                failed = found = 0
                suites = options.cases // tests
                for _ in range(suites):
                    changes = machine(rng, sd, (tests, LAUNCHES))
                    cases = {str(i): [launch(rng, c) for c in of] for i, of in enumerate(changes)}
                    failed += "regressed" in {v.word for v in judge_paired_suite(cases, Policy()).values()}
                    cases["0"] = [launch(rng, c + math.log(1.05)) for c in changes[0]]
                    found += judge_paired_suite(cases, Policy())["0"].word == "regressed"
                print(
                    f"| {name} | {sd:.1%} | {tests} | {failed / suites:.2%} | {found / suites:.0%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
