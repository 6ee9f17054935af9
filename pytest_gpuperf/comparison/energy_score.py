"""From a journal to an energy score: each run's energy by parts, and the mean over runs with its interval. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from statistics import mean, stdev

from pytest_gpuperf.gate.spread import student
from pytest_gpuperf.records.energy_score import (
    Head,
    Line,
    PartEnergy,
    Phase,
    Query,
    Session,
    StageFigures,
    Stretch,
)
from pytest_gpuperf.records.enough_energy import DISAGREE, too_short

JOULES_PER_WH = 3600.0
_TOO_FEW = "one run has no interval"


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure, or why there is none."""

    value: float | None
    reason: str | None = None

    def times(self, factor: float) -> Amount:
        return self if self.value is None else Amount(self.value * factor)


@dataclass(frozen=True, slots=True)
class Answered:
    """One query, and in which process and stretch it was answered."""

    query: Query
    session: Session
    stretch: Stretch

    def energy(self, part: str) -> Amount:
        """Joules of one part: "gpu", "cpu" or "ram"."""
        if part in self.session.missing:
            return Amount(None, self.session.missing[part])
        if part == "ram":
            watts = self.session.ram_watts
            return Amount(None if watts is None else watts * self.query.seconds)
        found = self.query.gpu if part == "gpu" else self.query.cpu
        return Amount(found.joules, found.reason) if found else Amount(None)

    @property
    def above_idle(self) -> Amount:
        """The GPU's joules without what it takes when it does nothing."""
        gross, idle = self.energy("gpu"), self.stretch.gpu_idle_watts
        if gross.value is None:
            return gross
        return Amount(None, self.stretch.reason) if idle is None else Amount(gross.value - idle * self.query.seconds)

    def of_gpu(self, read: Callable[[PartEnergy], float | None]) -> Amount:
        """Something else that the GPU's meter says."""
        if "gpu" in self.session.missing or self.query.gpu is None:
            return Amount(None, self.session.missing.get("gpu"))
        return Amount(read(self.query.gpu), self.query.gpu.watts_reason or self.query.gpu.reason)

    @property
    def short(self) -> str | None:
        """Why the query alone is too short for the meter; None where it is not."""
        return too_short(self.query.seconds, self.stretch.gpu_period)


@dataclass(frozen=True)
class ScoredRun:
    """One run: all its queries once."""

    number: int
    answered: tuple[Answered, ...]
    with_gpu: bool  # the model ran on one

    @cached_property
    def seconds(self) -> float:
        """From the first query to the last, gaps and tokenisation included."""
        return sum(a.query.seconds for a in self.answered)

    @cached_property
    def prompt_tokens(self) -> int:
        return sum(a.query.prompt_tokens for a in self.answered)

    @cached_property
    def generated_tokens(self) -> int:
        return sum(a.query.generated_tokens for a in self.answered)

    @cached_property
    def gpu(self) -> Amount:
        """Joules; so are the other parts."""
        return _sum(a.energy("gpu") for a in self.answered)

    @cached_property
    def cpu(self) -> Amount:
        return _sum(a.energy("cpu") for a in self.answered)

    @cached_property
    def ram(self) -> Amount:
        return _sum(a.energy("ram") for a in self.answered)

    @cached_property
    def total(self) -> Amount:
        """All parts, or none: a sum of some of them would be taken for all."""
        parts = {"GPU": self.gpu, "CPU": self.cpu, "RAM": self.ram}
        if not self.with_gpu:
            del parts["GPU"]
        lacking = {name: part.reason for name, part in parts.items() if part.value is None}
        if lacking:
            return Amount(None, "; ".join(f"{name}: {reason}" for name, reason in lacking.items()))
        return Amount(sum(part.value or 0.0 for part in parts.values()))

    @cached_property
    def above_idle(self) -> Amount:
        return _sum(a.above_idle for a in self.answered)

    @cached_property
    def sampled(self) -> Amount:
        """The GPU's joules by sampled watts alone."""
        return _sum(a.of_gpu(lambda part: part.sampled) for a in self.answered)

    @property
    def disagreement(self) -> float | None:
        """How far the sampled watts are from the counter, relative."""
        counted, sampled = self.gpu.value, self.sampled.value
        return None if not counted or sampled is None else sampled / counted - 1

    @property
    def mean_watts(self) -> Amount:
        return self.gpu.times(1 / self.seconds)

    @property
    def peak_watts(self) -> Amount:
        peaks = [a.query.gpu.peak_watts for a in self.answered if a.query.gpu and a.query.gpu.peak_watts is not None]
        return Amount(max(peaks)) if peaks else self.answered[0].of_gpu(lambda part: part.peak_watts)

    @property
    def decode(self) -> Amount:
        """The device's joules of one token after the first."""
        found = _sum(Amount(a.query.decode_joules, a.query.decode_reason) for a in self.answered)
        return found.times(1 / max(1, self.generated_tokens - len(self.answered)))

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens."""
        return self.generated_tokens / self.seconds

    @property
    def total_tokens_per_second(self) -> float:
        """Prompt tokens counted too, as others publish it."""
        return (self.prompt_tokens + self.generated_tokens) / self.seconds

    @property
    def joules_per_token(self) -> Amount:
        """The GPU's, of a generated token."""
        return self.gpu.times(1 / self.generated_tokens)

    def per_thousand(self, joules: Amount) -> Amount:
        """Wh per 1,000 queries."""
        return joules.times(1000 / len(self.answered) / JOULES_PER_WH)

    @property
    def stretches(self) -> int:
        """In how many pieces it was measured."""
        return sum(1 for _ in groupby(self.answered, key=lambda a: id(a.stretch)))

    @property
    def doubts(self) -> list[str]:
        """What to know before relying on its energy."""
        found: list[str] = []
        if self.gpu.value is None:
            return found
        longest = max(
            sum(a.query.seconds for a in pieces) for _, pieces in groupby(self.answered, key=lambda a: id(a.stretch))
        )
        short = too_short(longest, self.answered[0].stretch.gpu_period)
        if short is not None:
            found.append(short)
        apart = self.disagreement
        if apart is not None and abs(apart) > DISAGREE:
            found.append(
                f"the sampled watts are {apart:+.1%} from the energy counter. Some GPUs sample their power a quarter "
                f"of the time"
            )
        if self.stretches > 1:
            found.append(
                f"measured in {self.stretches} pieces, because its process was ended: at each end of one up to an "
                f"update of the counter is missing"
            )
        return found


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over runs, with half its 95 % interval."""

    value: float | None
    half: float | None
    reason: str | None = None  # why there is no value, or no interval


@dataclass(frozen=True)
class Score:
    """Everything that a whole journal says."""

    head: Head
    sessions: tuple[Session, ...]
    stages: tuple[tuple[int, StageFigures], ...]  # with the number of their session
    runs: tuple[ScoredRun, ...]
    prefill: Phase

    def mean(self, read: Callable[[ScoredRun], Amount]) -> Mean:
        """Of a figure of each run."""
        amounts = [read(run) for run in self.runs]
        lacking = next((amount for amount in amounts if amount.value is None), None)
        if lacking is not None:
            return Mean(None, None, lacking.reason)
        values = [amount.value or 0.0 for amount in amounts]
        if len(values) == 1:
            return Mean(values[0], None, _TOO_FEW)
        count = len(values)
        return Mean(mean(values), float(student(0.975, count - 1)) * stdev(values) / count**0.5)

    @property
    def cards(self) -> int:
        """How many different cards took part."""
        return len({session.card for session in self.sessions if session.card is not None})


def score_of(lines: Sequence[Line]) -> Score:
    """The score of a journal whose queries are all answered."""
    head = lines[0]
    assert isinstance(head, Head)
    sessions: list[Session] = []
    stages: list[tuple[int, StageFigures]] = []
    answered: list[Answered] = []
    stretch = None
    prefill = Phase(name="prefill", note="not measured")
    for line in lines:
        match line:
            case Session():
                sessions.append(line)
            case StageFigures():
                stages.append((len(sessions), line))
            case Stretch():
                stretch = line
            case Query():
                assert stretch is not None
                answered.append(Answered(line, sessions[-1], stretch))
            case Phase():
                prefill = line
            case _:  # the head
                pass
    with_gpu = head.environment.device.kind == "cuda"
    runs = tuple(
        ScoredRun(number, tuple(some), with_gpu) for number, some in groupby(answered, key=lambda a: a.query.run)
    )
    return Score(head, tuple(sessions), tuple(stages), runs, prefill)


def _sum(amounts: Iterable[Amount]) -> Amount:
    every = tuple(amounts)
    lacking = [amount.reason for amount in every if amount.value is None]
    if not lacking:
        return Amount(sum(amount.value or 0.0 for amount in every))
    which = "" if len(lacking) == len(every) else f"{len(lacking)} of {len(every)} queries: "
    return Amount(None, f"{which}{lacking[0]}")
