"""One call that generates: greedily, so many tokens for each prompt, with the time at which each of them came.

The loop is transformers' own `generate`, as its users run it; its streamer is told of every token when that has come to
the host. An end-of-text token does not end it: equal work is what two sessions compare.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import cycle
from time import perf_counter
from typing import Any

import torch
from msgspec import structs

from pytest_gpuperf.backends.precisions import Precision, arithmetic, precision_of
from pytest_gpuperf.device.clocks import Clock
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.models import Scale
from pytest_gpuperf.records.generation import Generation
from pytest_gpuperf.records.model import Measurement
from pytest_gpuperf.records.units import many
from pytest_gpuperf.text import CausalModel
from pytest_gpuperf.text.figures import generation_of, read_off, spans_of
from pytest_gpuperf.text.model import TextModel, load_text, text_of
from pytest_gpuperf.text.stream import Figure, Stream, StreamClock

BACKENDS = {
    "eager": "the key-value cache grows with every token",
    "static": "a key-value cache of a fixed size",
    "compile": "a key-value cache of a fixed size, and torch.compile",
}
_FIRST_TOKEN = 1000  # ids below are often special tokens
_WARM_CALLS = 2  # of a compiled model, untimed: prefill and decode are compiled apart


class _FirstTokenCame(Exception):  # noqa: N818 - no error: it ends a generation
    pass


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that are answered together. Shorter ones are padded on the left."""

    numbers: tuple[int, ...]
    ids: torch.Tensor
    mask: torch.Tensor


@dataclass
class Generate:
    """Answers the next batch of prompts, in turn; all prompts equally often."""

    model: TextModel
    prompts: Sequence[Sequence[int]]
    batches: Sequence[Batch]
    max_new_tokens: int
    precision: Precision
    backend: str
    synchronize: Callable[[], None]
    figure: Figure = "end_to_end"
    last: Stream = field(init=False)
    timed: dict[float, list[Stream]] = field(default_factory=dict[float, list[Stream]])
    spans: list[list[list[Stream]]] = field(default_factory=list[list[list[Stream]]])  # of the last measurement

    def __post_init__(self) -> None:
        """Say once how it is generated."""
        from transformers import GenerationConfig  # noqa: PLC0415 - optional, and seconds

        self._turns = cycle(self.batches)
        end = getattr(self.model.module.generation_config, "eos_token_id", None)
        cache = {} if self.backend == "eager" else {"cache_implementation": "static"}
        config = GenerationConfig(
            max_new_tokens=self.max_new_tokens,
            min_new_tokens=self.max_new_tokens if end is not None else None,
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
            disable_compile=True,  # what is compiled is compiled here, where that is asked for
            **cache,
        )
        self._config: Any = config

    @property
    def __wrapped__(self) -> object:
        """What runs: where evidence looks for parameters."""
        return self.model.module

    @property
    def items(self) -> int:
        """What a call's figure counts: generated tokens; prompts, until the first came."""
        return self._items_of(self.figure)

    def _items_of(self, figure: Figure) -> int:
        steps = {"end_to_end": self.max_new_tokens, "ttft": 1, "decode": self.max_new_tokens - 1}[figure]
        return steps * len(self.batches[0].numbers)

    def gpuperf_clock(self, host: Clock) -> StreamClock:
        """What reads this call's figure."""
        self.timed.clear()
        return StreamClock(self, host)

    def gpuperf_figures(self, measured: Measurement) -> Measurement:
        """The measurement of the whole call, with all that its tokens showed."""
        self.spans = spans_of(measured, self.timed)
        self.timed.clear()
        if self.figure != "end_to_end":
            return measured
        found = self.generation([s for block in self.spans for span in block for s in span], measured.energy)
        return structs.replace(measured, generation=found)

    def generation(self, streams: Sequence[Stream], energy: float | None = None) -> Generation:
        """The figures of some of its calls."""
        return generation_of(
            streams,
            [len(prompt) for prompt in self.prompts],
            model=self.model.name,
            backend=self.backend,
            precision=self.precision.name,
            energy=energy,
        )

    def of(self, figure: Figure) -> Generate:
        """The same, timed for another figure. For the first token no more than that is generated."""
        return replace(self, figure=figure, timed={}, spans=[])

    def read_off(self, measured: Measurement, figure: Figure) -> Measurement:
        """Another figure of the calls that were just measured."""
        return read_off(measured, self.spans, figure, self._items_of(figure))

    def __call__(self) -> Any:
        """Generate once, and keep when the tokens came."""
        return self.answer(next(self._turns))

    def answer(self, batch: Batch) -> Any:
        """Generate for these prompts, out of their turn."""
        watch = _Watch(self.synchronize, first_only=self.figure == "ttft")
        answer = None
        kind = self.precision.autocast
        with (
            torch.autocast(batch.ids.device.type, kind, enabled=kind is not None),
            watch.prompt_of(self.model.module),
        ):
            start = perf_counter()
            with suppress(_FirstTokenCame):
                answer = self.model.module.generate(
                    batch.ids, attention_mask=batch.mask, generation_config=self._config, streamer=watch
                )
        self.last = Stream(start, watch.prefilled, tuple(watch.tokens), batch.numbers)
        return answer


class _Watch:
    """The streamer of one call, which is also told when the prompt has been computed."""

    def __init__(self, synchronize: Callable[[], None], *, first_only: bool) -> None:
        self.tokens: list[float] = []
        self.prefilled = 0.0
        self._synchronize = synchronize
        self._first_only = first_only
        self._prompt_came = False

    @contextmanager
    def prompt_of(self, module: torch.nn.Module) -> Generator[None]:
        """Look at the first forward pass alone. A processor of logits would cost each token 0.3 ms: it is inspected."""

        def computed(*_: object) -> None:
            hook.remove()
            self._synchronize()
            self.prefilled = perf_counter()

        hook = module.register_forward_hook(computed)
        try:
            yield
        finally:
            hook.remove()

    def put(self, _value: torch.Tensor) -> None:
        now = perf_counter()
        if not self._prompt_came:  # it is handed over first, before anything is computed
            self._prompt_came = True
            return
        self.tokens.append(now)
        if self._first_only:
            raise _FirstTokenCame

    def end(self) -> None:
        """The last token has come by now."""


def batches_of(prompts: Sequence[Sequence[int]], batch: int, device: torch.device) -> list[Batch]:
    """Prompts in batches, in their order."""
    made: list[Batch] = []
    for first in range(0, len(prompts), batch):
        some = prompts[first : first + batch]
        longest = max(map(len, some))
        ids = [[0] * (longest - len(prompt)) + list(prompt) for prompt in some]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in some]
        numbers = tuple(range(first, first + len(some)))
        made.append(Batch(numbers, torch.tensor(ids, device=device), torch.tensor(mask, device=device)))
    return made


def drawn(count: int, tokens: int, vocabulary: int) -> list[list[int]]:
    """Prompts that differ from one another, of so many tokens each: no cache of prefixes can help."""
    low = min(_FIRST_TOKEN, vocabulary // 2)
    generator = torch.Generator().manual_seed(count * 1_000_003 + tokens)
    return torch.randint(low, vocabulary, (count, tokens), generator=generator).tolist()


@contextmanager
def opened_text(
    of: str | CausalModel,
    prompts: int | Sequence[str] | Sequence[Sequence[int]],
    *,
    prompt_tokens: int,
    max_new_tokens: int,
    batch: int,
    backend: str,
    precision: str,
    pretrained: bool,
    scale: Scale,
    device: str,
    synchronize: Callable[[], None],
) -> Generator[Generate]:
    """What generates, ready to be called."""
    refuse_impossible(prompts, prompt_tokens, max_new_tokens, batch, backend)
    level = precision_of(precision)
    if level.quantised:
        raise UsageError(f"Text is not generated in {precision} here. Take fp32, tf32, fp16, bf16 or autocast.")
    where = torch.device(device)
    with arithmetic(level), _one_core(small=scale == "smoke" and where.type == "cpu"):
        if isinstance(of, str):
            model = load_text(of, scale, device=where, dtype=level.weights, pretrained=pretrained)
        else:
            model = text_of(of, where, level.weights)
        ids = ids_of(prompts, prompt_tokens, model)
        refuse_too_long(ids, max_new_tokens, model)
        if backend == "compile":
            model.module.forward = torch.compile(model.module.forward)
        generate = Generate(model, ids, batches_of(ids, batch, where), max_new_tokens, level, backend, synchronize)
        try:
            with torch.no_grad():
                if backend == "compile":
                    _compile(generate)
                yield generate
        finally:
            if backend == "compile":
                del model.module.forward  # its class has the plain one
                torch.compiler.reset()


@contextmanager
def _one_core(*, small: bool) -> Generator[None]:
    """A small model runs fastest on one thread, and a neighbour disturbs one core less than all of them."""
    threads = torch.get_num_threads()
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _compile(generate: Generate) -> None:
    """Answer a batch of every length: each is compiled for itself."""
    for batch in {batch.ids.shape: batch for batch in generate.batches}.values():
        for _ in range(_WARM_CALLS):
            generate.answer(batch)


def ids_of(
    prompts: int | Sequence[str] | Sequence[Sequence[int]], prompt_tokens: int, model: TextModel
) -> list[list[int]]:
    """The prompts as token ids."""
    if isinstance(prompts, int):
        return drawn(prompts, prompt_tokens, model.vocabulary)
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    if texts:
        if len(texts) != len(prompts):
            raise UsageError("Prompts are all texts, or all lists of token ids: these are mixed.")
        return model.token_ids(texts)
    ids = [[int(token) for token in prompt] for prompt in prompts]
    wrong = next((token for prompt in ids for token in prompt if not 0 <= token < model.vocabulary), None)
    if wrong is not None:
        raise UsageError(f"{model.name} has no token {wrong}: its vocabulary has {model.vocabulary}, from 0.")
    return ids


def refuse_impossible(
    prompts: int | Sequence[object], prompt_tokens: int, max_new_tokens: int, batch: int, backend: str
) -> None:
    """What can be seen to be wrong before a model is built."""
    if isinstance(prompts, str):
        raise UsageError(f"prompts={prompts!r} is one text. Give a list of prompts: prompts=[{prompts!r}].")
    for what, value in (
        ("prompts", prompts if isinstance(prompts, int) else len(prompts)),
        ("prompt_tokens", prompt_tokens),
        ("max_new_tokens", max_new_tokens),
        ("batch", batch),
    ):
        if value < 1:
            raise UsageError(f"{what}={value}: text generation needs at least one. Leave it out for what is usual.")
    count = prompts if isinstance(prompts, int) else len(prompts)
    if count % batch:
        full = count // batch
        fitting = " or ".join(str(n * batch) for n in (full, full + 1) if n)
        raise UsageError(f"{many(count, 'prompt')} cannot fill batches of {batch}. Give {fitting} of them.")
    if not isinstance(prompts, int) and any(not prompt for prompt in prompts):
        raise UsageError("A prompt is empty. Give each at least one token.")
    if backend not in BACKENDS:
        means = "; ".join(f"{name}: {what}" for name, what in BACKENDS.items())
        raise UsageError(f"There is no back end {backend!r} for text. They are: {means}.")


def refuse_too_long(ids: Sequence[Sequence[int]], max_new_tokens: int, model: TextModel) -> None:
    """A prompt that leaves no room for its answer."""
    longest = max(map(len, ids))
    if model.context is not None and longest + max_new_tokens > model.context:
        raise UsageError(
            f"A prompt of {longest} tokens and {max_new_tokens} new ones are {longest + max_new_tokens}, and "
            f"{model.name} has room for {model.context}. Give a shorter prompt, or a smaller max_new_tokens."
        )
