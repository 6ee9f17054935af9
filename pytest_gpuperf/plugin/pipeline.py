"""The fixture `gpuperf_pipeline`: stages that overlap, as a case like any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gpuperf.plugin.fixtures import take_name
from pytest_gpuperf.plugin.load import skip_in_turns
from pytest_gpuperf.plugin.servers import plainly
from pytest_gpuperf.plugin.settings import of_test
from pytest_gpuperf.plugin.ways import Record

if TYPE_CHECKING:
    from pytest_gpuperf.pipeline import Measured, PipelineStage
    from pytest_gpuperf.plugin.session import GpuperfSession
    from pytest_gpuperf.records.model import Evidence, Measurement
    from pytest_gpuperf.records.pipeline import PipelineFigures

_IN_TURNS = "a pipeline is not measured in turns with another revision: while one waits, its threads do not stand still"


@dataclass
class GpuPerfPipeline:
    """Runs a pipeline for a test; records it and has it compared."""

    _item: pytest.Item
    _session: GpuperfSession
    _names: set[str | None] = field(default_factory=set[str | None])

    @property
    def device(self) -> str:
        """Where the models of its stages belong, as torch names it: "cuda:0" or "cpu"."""
        return self._session.recorder.chosen.torch_name

    def __call__(
        self,
        stages: Sequence[PipelineStage],
        source: Iterable[Any],
        *,
        queue: int = 2,
        batch: int = 1,
        overlap: bool = True,
        timeout: float = 60.0,
        name: str | None = None,
    ) -> PipelineFigures:
        """Run the source's items through all stages at once, until the throughput is known.

        `queue` is how many items wait between two stages at most; `batch` is what an item holds: images, say. `timeout`
        is how many seconds a stage may take over one item. Without `overlap` the stages run one after the other in one
        thread, as a loop would.
        """
        __tracebackhide__ = True
        self._session.called.add(self._item.nodeid)

        def measured() -> PipelineFigures:
            __tracebackhide__ = True
            from pytest_gpuperf.pipeline import measure_pipeline, run_once

            take_name(self._item, self._names, name, 'gpuperf_pipeline(stages, source, name="deep")')
            if self._session.settings.disable:
                return run_once(stages, source, queue=queue, batch=batch, timeout=timeout)
            settings = of_test(self._item, self._session.settings)
            take = partial(
                measure_pipeline,
                stages,
                source,
                queue=queue,
                batch=batch,
                overlap=overlap,
                timeout=timeout,
                budget=settings.budget,
            )
            session, way = self._session, self._session.way
            skip_in_turns(session, _IN_TURNS)
            if not isinstance(way, Record):
                return take().figures

            def measure(repeat: int) -> Measurement:
                from pytest_gpuperf.measure.observation import unvalidated

                found = take()
                evidence = self._evidence(stages, found)
                return found.measurement(session.recorder.name_of(repeat), evidence, unvalidated(evidence))

            case = way.case_of(self._item, name, settings, measure)
            way.keep(self._item, case)
            figures = case.measurements[0].pipeline
            assert figures is not None
            return figures

        return plainly(self._session.settings, measured)

    def _evidence(self, stages: Sequence[PipelineStage], found: Measured) -> Evidence:
        """Which device did the work: its first item once more through all stages, in this thread."""
        from pytest_gpuperf.pipeline.workers import through

        recorder = self._session.recorder
        prover = recorder.observer.prover
        peak = recorder.chosen.memory.peak() if prover.kind == "cuda" else None
        held = (tuple(stage.fn for stage in stages), found.first)
        memory = replace(recorder.memory_before, peak_allocated=peak)
        return prover.prove(partial(through, stages, found.first), held, memory=memory)
