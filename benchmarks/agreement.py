"""Our figures beside others', on the suite's small models on the processor.

    python benchmarks/agreement.py [--rounds 31] [--models resnet50 vit_b_16]

Every round measures the same network with us and with the other, in turn and in changing order; what is shown is the
median of the rounds' ratios. Eager networks stand beside `torch.utils.benchmark.Timer.blocked_autorange`, ONNX Runtime
beside a plain loop over `session.run_with_iobinding`.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Callable
from time import perf_counter

import onnxruntime
import torch
from torch.utils.benchmark import Timer

from pytest_gpuperf.backends import Opened, opened
from pytest_gpuperf.backends.onnx_export import exported
from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.measure.cache import workload_call
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.measure.sampler import measure
from pytest_gpuperf.models import load, names

PLAN = Plan(budget=0.4, min_timed=0.2)  # short rounds: what the machine does to both is the same then
SECONDS = 0.25  # of the other's timed calls, a round


def ours(network: Opened, chosen) -> tuple[float, float]:
    """Seconds a call: device time, and latency."""
    measured = measure(
        workload_call(network, network.inputs, PLAN, chosen),
        items=network.items,
        plan=PLAN,
        clock=chosen.clock,
        memory=chosen.memory,
        session="agreement",
    )
    return measured.device_time.median, statistics.median(measured.latencies)


def timer(network: Opened) -> Callable[[], float]:
    """torch's own timer."""
    timed = Timer("network(*inputs)", globals={"network": network.made.run, "inputs": network.inputs})
    return lambda: timed.blocked_autorange(min_run_time=SECONDS).median


def loop(network: Opened) -> Callable[[], float]:
    """A plain loop over a session of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    path = exported(network.workload.module, network.inputs, quantised=False)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for slot, tensor in zip(session.get_inputs(), network.inputs, strict=True):
        binding.bind_cpu_input(slot.name, tensor.numpy())
    for slot in session.get_outputs():
        binding.bind_output(slot.name)

    def run() -> float:
        seconds: list[float] = []
        while sum(seconds) < SECONDS:
            start = perf_counter()
            session.run_with_iobinding(binding)
            seconds.append(perf_counter() - start)
        return statistics.median(seconds)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--models", nargs="+", default=names())
    options = parser.parse_args()
    torch.set_num_threads(1)
    gc.disable()  # for both: we always do, and the timer switches it on again between its calls
    chosen = choose_device("cpu")
    print("| model | back end | beside | ours, ms | device time / other | latency / other |\n|---|---|---|---|---|---|")
    for model in options.models:
        for backend, beside, other in (("eager", "Timer", timer), ("onnxruntime", "plain loop", loop)):
            with opened(load(model, "smoke"), 1, backend=backend, device="cpu") as network:
                theirs = other(network)
                theirs()
                rounds = []
                for number in range(options.rounds):
                    if number % 2:
                        reference, figures = theirs(), ours(network, chosen)
                    else:
                        figures, reference = ours(network, chosen), theirs()
                    rounds.append((figures[0], figures[0] / reference, figures[1] / reference))
                time, ratio, latency = (statistics.median(column) for column in zip(*rounds, strict=True))
                print(
                    f"| {model} | {backend} | {beside} | {time * 1e3:.2f} | {ratio:.4f} | {latency:.4f} |", flush=True
                )


if __name__ == "__main__":
    main()
