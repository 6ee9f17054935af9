"""Answer query after query, with the energy of each, into a journal: whatever is whole there has been measured.

    load - warm-up | idle - queries of run 1 | idle - queries of run 2 | ... | prefill in a window of its own | clean-up

A process that goes on with a journal begins with the first query that is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import mean
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING

from msgspec import structs

from pytest_gpuperf.device.counter import CpuMeter, Meter
from pytest_gpuperf.device.laps import Lap, Laps
from pytest_gpuperf.device.memory import is_out_of_memory
from pytest_gpuperf.device.power import IDLE_SECONDS, GpuPower
from pytest_gpuperf.device.ram import ram_watts
from pytest_gpuperf.device.readings import Missing, Reading, known
from pytest_gpuperf.errors import OutOfMemoryError
from pytest_gpuperf.measure.energy_per_item import measure_energy
from pytest_gpuperf.measure.find_evidence import Prover
from pytest_gpuperf.measure.stages import Stage, held_on, stage_at_rest, stage_of
from pytest_gpuperf.records.energy_score import (
    Asked,
    PartEnergy,
    Phase,
    Query,
    Session,
    StageFigures,
    Stretch,
)
from pytest_gpuperf.records.fields import now
from pytest_gpuperf.records.journal import Journal, kept
from pytest_gpuperf.text.generating import Generate, batches_of, opened_text

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.records.model import Evidence

WARM_UP = 10  # queries, as the official procedure has
SETTLE = 1.5  # seconds: watts may be a mean of the last second, which must have forgotten the run before
BACKEND = "eager"
Progress = Callable[[int, float], None]  # queries that are answered, and seconds that are left


@dataclass
class _Process:
    """One process that works on a journal."""

    asked: Asked
    texts: Sequence[str] | None  # None: drawn prompts
    chosen: Chosen
    journal: Journal
    progress: Progress
    meters: dict[str, Meter] = field(default_factory=dict[str, Meter])
    power: dict[str, GpuPower] = field(default_factory=dict[str, GpuPower])
    laps: list[Lap] = field(default_factory=list[Lap])  # of the device
    utilizations: list[int] = field(default_factory=list[int])

    @property
    def device_part(self) -> str:
        return "gpu" if self.chosen.device.kind == "cuda" else "cpu"

    def session(self, command: str) -> Session:
        """Which meters there are, and why others are not to be had."""
        meters: dict[str, Meter] = {"cpu": CpuMeter(), self.device_part: self.chosen.sensors.meter}
        missing = {} if "gpu" in meters else {"gpu": "the model runs on the processor"}
        for part, meter in meters.items():
            energy, watts = meter.energy(), meter.power()
            if isinstance(energy, Missing) and (part == "cpu" or isinstance(watts, Missing)):
                missing[part] = energy.reason
            else:
                self.meters[part] = meter
                self.power[part] = GpuPower(meter, self.chosen.clock.synchronize)
        ram = ram_watts()
        if isinstance(ram, Missing):
            missing["ram"] = ram.reason
        return Session(
            time=now(),
            command=command,
            card=self.chosen.card,
            gpu=self.meters["gpu"].name if "gpu" in self.meters else None,
            cpu=self.meters["cpu"].name if "cpu" in self.meters else None,
            ram_watts=known(ram),
            missing=missing,
        )

    def answer_all(self, generate: Generate) -> None:
        """Every query that is not answered yet, run by run."""
        while self.journal.queries < self.asked.total:
            run, first = divmod(self.journal.queries, self.asked.queries)
            self._answer_run(generate, run + 1, first)

    def _answer_run(self, generate: Generate, run: int, first: int) -> None:
        synchronize = self.chosen.clock.synchronize
        synchronize()
        sleep(SETTLE if self.meters else 0)
        with ExitStack() as stack:
            laps = {part: stack.enter_context(Laps(m, self.power[part].period)) for part, m in self.meters.items()}
            sleep(IDLE_SECONDS if laps else 0)
            for each in laps.values():
                each.wait_for_edge()
            self.journal.add(_stretch(run, laps.get("gpu")))
            start = ended = monotonic()
            for each in laps.values():
                each.start(start)
            for number in range(first, self.asked.queries):
                prompt_tokens, began = self._answer(generate, number)
                synchronize()
                before, ended = ended, monotonic()
                tokens = generate.last.tokens
                first_token = ended - (perf_counter() - tokens[0])
                is_last = number + 1 == self.asked.queries
                found = {part: each.last_lap(ended) if is_last else each.lap(ended) for part, each in laps.items()}
                decode = self._decode(laps, first_token, ended)
                self._look(found)
                self.journal.add(
                    Query(
                        run=run,
                        number=number + 1,
                        prompt_tokens=prompt_tokens,
                        generated_tokens=len(tokens),
                        seconds=ended - before,
                        latency=tokens[-1] - began,
                        ttft=tokens[0] - began,
                        gpu=_part(found.get("gpu")),
                        cpu=_part(found.get("cpu")),
                        decode_joules=known(decode),
                        decode_reason=decode.reason if isinstance(decode, Missing) else None,
                    )
                )
                pace = (ended - start) / (number + 1 - first)
                self.progress(self.journal.queries, pace * (self.asked.total - self.journal.queries))

    def _answer(self, generate: Generate, number: int) -> tuple[int, float]:
        """One query, its text cut into tokens as part of it: how many those are, and when it began."""
        start = perf_counter()
        ids = generate.prompts[number] if self.texts is None else generate.model.token_ids([self.texts[number]])[0]
        (batch,) = batches_of([ids], 1, generate.batches[0].ids.device)
        generate.answer(batch)
        return len(ids), start

    def _decode(self, laps: dict[str, Laps], start: float, end: float) -> Reading[float]:
        if self.asked.max_new_tokens == 1:
            return Missing("unsupported", "a single token is generated, which prefill gives")
        device = laps.get(self.device_part)
        if device is None:
            return Missing("unsupported", "the device has no meter of energy here")
        return device.counted_between(start, end)

    def _look(self, found: dict[str, Lap]) -> None:
        """At the card while it works."""
        if self.device_part in found:
            self.laps.append(found[self.device_part])
        card = self.chosen.sensors.card
        busy = None if card is None else known(card.utilization())
        if busy is not None:
            self.utilizations.append(busy)

    def warm_up(self, generate: Generate) -> None:
        """Untimed, and in no figure."""
        for number in range(min(WARM_UP, self.asked.queries)):
            self._answer(generate, number)

    def prove(self, generate: Generate) -> Evidence:
        """Which device does the work."""
        chosen = self.chosen
        prover = Prover(chosen.device.kind, chosen.index, chosen.clock, chosen.sensors)
        return prover.prove(generate, (generate,))

    def prefill(self, generate: Generate) -> Phase:
        """The first token alone, back to back in a window of its own: never a difference of two others."""
        if self.device_part not in self.power:
            return Phase(name="prefill", note="not measured: the device has no meter of energy here")
        answered = [line.ttft for line in self.journal.lines if isinstance(line, Query)]
        first = generate.of("ttft")
        found = measure_energy(first, mean(answered), 1, self.chosen.clock, self.power[self.device_part])
        return Phase(name="prefill", joules=found.gross, above_idle=found.above_idle, note=found.note)

    def inference(self, seconds: float) -> Stage:
        """All that was asked of the model in this process."""
        means = [watts for lap in self.laps if (watts := known(lap.mean_watts)) is not None]
        peaks = [watts for lap in self.laps if (watts := known(lap.peak_watts)) is not None]
        return Stage(
            name="inference",
            seconds=seconds,
            held=held_on(self.chosen),
            watts=mean(means) if means else None,
            peak_watts=max(peaks, default=None),
            utilization=max(self.utilizations, default=None),
        )


def is_whole(asked: Asked, journal: Journal) -> bool:
    """Whether everything has been measured."""
    return journal.queries == asked.total and any(isinstance(line, Phase) for line in journal.lines)


def answer(
    asked: Asked, texts: Sequence[str] | None, chosen: Chosen, journal: Journal, *, command: str, progress: Progress
) -> None:
    """Measure what the journal lacks."""
    process = _Process(asked, texts, chosen, journal, progress)
    try:
        _live(process, command)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        too_large = f"{asked.model} does not fit on {chosen.device.name} in {asked.precision}: {error}"
    else:
        return
    chosen.memory.release()
    raise OutOfMemoryError(
        f"{too_large}. Take a smaller model, shorter prompts, or a precision of fewer bytes. {kept(journal.queries)}."
    )


def _live(process: _Process, command: str) -> None:
    """A process's life, stage by stage."""
    chosen, journal = process.chosen, process.journal
    session = process.session(command)
    stages = [stage_at_rest(chosen, "idle")]
    with ExitStack() as stack:
        opened: list[Generate] = []
        stage, _ = stage_of(chosen, "load", lambda: opened.append(stack.enter_context(_opened(process))))
        (generate,) = opened
        stages += [stage, stage_at_rest(chosen, "loaded")]
        process.warm_up(generate)
        journal.add(structs.replace(session, evidence=process.prove(generate)))
        for stage in stages:
            journal.add(_figures(stage))
        began = monotonic()
        process.answer_all(generate)
        journal.add(process.prefill(generate))
        journal.add(_figures(process.inference(monotonic() - began)))
        opened.clear()
        del generate
    journal.add(_figures(stage_at_rest(chosen, "clean-up")))


@contextmanager
def _opened(process: _Process) -> Generator[Generate]:
    asked = process.asked
    with opened_text(
        asked.model,
        asked.queries if process.texts is None else process.texts,
        prompt_tokens=asked.prompt_tokens or 1,
        max_new_tokens=asked.max_new_tokens,
        batch=1,
        backend=BACKEND,
        precision=asked.precision,
        pretrained=asked.pretrained,
        scale=asked.scale,
        device=process.chosen.torch_name,
        synchronize=process.chosen.clock.synchronize,
    ) as generate:
        yield generate


def _stretch(run: int, gpu: Laps | None) -> Stretch:
    if gpu is None:
        return Stretch(run=run)
    idle = gpu.idle_watts
    reason = idle.reason if isinstance(idle, Missing) else None
    return Stretch(run=run, gpu_idle_watts=known(idle), gpu_period=gpu.period, reason=reason)


def _part(lap: Lap | None) -> PartEnergy | None:
    if lap is None:
        return None
    return PartEnergy(
        joules=known(lap.joules),
        sampled=known(lap.sampled),
        mean_watts=known(lap.mean_watts),
        peak_watts=known(lap.peak_watts),
        reason=lap.joules.reason if isinstance(lap.joules, Missing) else None,
        watts_reason=lap.peak_watts.reason if isinstance(lap.peak_watts, Missing) else None,
    )


def _figures(stage: Stage) -> StageFigures:
    return StageFigures(
        name=stage.name,
        seconds=stage.seconds,
        tensors=stage.held.tensors,
        ours=stage.held.ours,
        others=stage.held.others,
        watts=stage.watts,
        peak_watts=stage.peak_watts,
        utilization=stage.utilization,
    )
