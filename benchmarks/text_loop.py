"""Tokens a second, first token and time a token of `gpuperf_text`, beside a loop written by hand, in turns.

    python benchmarks/text_loop.py --rounds 15
    python benchmarks/text_loop.py --rounds 15 --device cuda --scale full --precision fp16

The loop is what people write: `model.generate` with a streamer that notes the time, medians of its calls. It is run
with Python's collector off, as ours is, and on, where some calls free what others left. All use one model; a round
measures each for a second, and who begins changes. A ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer

from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.measure.sampler import measure
from pytest_gpuperf.text.generating import Generate, opened_text

SECONDS = 1.0


class Stamps(BaseStreamer):
    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _value: object) -> None:
        self.times.append(perf_counter())

    def end(self) -> None:
        pass


def collector_on(generate: Generate) -> tuple[float, float, float]:
    return loop(generate, lambda: None)


def by_hand(generate: Generate) -> tuple[float, float, float]:
    gc.disable()
    try:
        return loop(generate, lambda: gc.collect(1))
    finally:
        gc.enable()


def loop(generate: Generate, between: Callable[[], object]) -> tuple[float, float, float]:
    model, batch, new = generate.model.module, generate.batches[0], generate.max_new_tokens
    config = GenerationConfig(max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
    rates: list[float] = []
    firsts: list[float] = []
    others: list[float] = []
    end = perf_counter() + SECONDS
    while perf_counter() < end:
        stamps = Stamps()
        between()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = perf_counter()
        model.generate(batch.ids, attention_mask=batch.mask, streamer=stamps, generation_config=config)
        first, *_, last = stamps.times[1:]
        rates.append(new * len(batch.numbers) / (last - start))
        firsts.append(first - start)
        others.append((last - first) / (new - 1))
    return median(rates), median(firsts), median(others)


def ours(generate: Generate) -> tuple[float, float, float]:
    chosen = choose_device(generate.batches[0].ids.device.type)
    measured = generate.gpuperf_figures(
        measure(
            generate,
            items=generate.items,
            plan=Plan(budget=SECONDS),
            clock=generate.gpuperf_clock(chosen.clock),
            memory=chosen.memory,
            session="s",
        )
    )
    ttft, decode = (generate.read_off(measured, figure) for figure in ("ttft", "decode"))
    steps = generate.max_new_tokens - 1
    return measured.throughput, median(ttft.samples), median(decode.samples) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", default="smoke", choices=("smoke", "full"))
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    chosen = choose_device(options.device)
    with opened_text(
        "text:phi-2",
        1,
        prompt_tokens=32,
        max_new_tokens=32,
        batch=1,
        backend="eager",
        precision=options.precision,
        pretrained=False,
        scale=options.scale,
        device=chosen.torch_name,
        synchronize=chosen.clock.synchronize,
    ) as generate:
        ways: list[Callable[[Generate], tuple[float, float, float]]] = [by_hand, ours, collector_on]
        for way in ways:
            way(generate)
        found: dict[str, list[tuple[float, float, float]]] = {way.__name__: [] for way in ways}
        for turn in range(options.rounds):
            for way in ways[:: 1 if turn % 2 else -1]:
                found[way.__name__].append(way(generate))
    print("| figure | by hand | ours | ours / by hand | collector on / by hand |\n|---|---|---|---|---|")
    for n, what in enumerate(("tokens/s", "first token, s", "time a token, s")):
        a, b = (median(row[n] for row in found[way]) for way in ("by_hand", "ours"))
        ratios = [
            median(other[n] / hand[n] for hand, other in zip(found["by_hand"], found[way], strict=True))
            for way in ("ours", "collector_on")
        ]
        print(f"| {what} | {a:.5g} | {b:.5g} | {ratios[0]:.3f} | {ratios[1]:.3f} |")


if __name__ == "__main__":
    main()
