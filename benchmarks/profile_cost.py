"""What looking at one call costs, beside the call: `gpuperf why` has its kernels from it.

    python benchmarks/profile_cost.py [--rounds 5]

The quick suite's models on the CPU, in turn with plain calls. A recorded case is looked at once, untimed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

from pytest_gpuperf.models import load
from pytest_gpuperf.traces.profile import profile_of


def seconds_of(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = range(parser.parse_args().rounds)
    print("| model | batch | operators | call | one look | look / call |\n|---|---|---|---|---|---|")
    for name in ("resnet50", "vit_b_16"):
        for batch in (1, 8):
            workload = load(name, "smoke")
            inputs = workload.inputs(batch)

            def call(workload=workload, inputs=inputs) -> object:  # type: ignore[no-untyped-def]
                with torch.inference_mode():
                    return workload.module(*inputs)

            usual = median(seconds_of(call) for _ in range(10))

            def look(call=call, usual=usual) -> int:  # type: ignore[no-untyped-def]
                found = profile_of(call, lambda: None, cuda=False, session="-", seconds=usual, parameters={})
                return found.launches if found else 0

            operators = look()
            pairs = [(seconds_of(call), seconds_of(look)) for _ in rounds]
            plain, looked = (median(p[side] for p in pairs) for side in (0, 1))
            ratio = median(b / a for a, b in pairs)
            print(f"| {name} | {batch} | {operators} | {plain * 1e3:.2f} ms | {looked * 1e3:.0f} ms | {ratio:.1f} |")


if __name__ == "__main__":
    main()
