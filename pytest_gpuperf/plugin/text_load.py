"""The fixture `gpuperf_text_load`: many clients at once, against a language model's server, as cases like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.plugin.fixtures import name_of_part, take_name
from pytest_gpuperf.plugin.load import LOAD_IN_TURNS, skip_in_turns
from pytest_gpuperf.plugin.servers import plainly
from pytest_gpuperf.plugin.settings import TestSettings, of_test
from pytest_gpuperf.plugin.ways import Record

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.session import GpuperfSession
    from pytest_gpuperf.records.model import Evidence, Measurement
    from pytest_gpuperf.records.served_load import Arrivals
    from pytest_gpuperf.records.text_load import Api, TextLoad
    from pytest_gpuperf.serving.server import Server
    from pytest_gpuperf.text.served.load_text import LoadedText, TextPlan


@dataclass
class GpuPerfTextLoad:
    """Loads a language model's server for a test; records that and has it compared."""

    _item: pytest.Item
    _session: GpuperfSession
    _names: set[str | None] = field(default_factory=set[str | None])

    def __call__(
        self,
        server: Server,
        prompts: Sequence[str] | None = None,
        *,
        prompt_tokens: int = 128,
        max_new_tokens: int = 64,
        concurrency: int = 8,
        requests: int = 100,
        rate: float | None = None,
        arrivals: Arrivals = "poisson",
        api: Api = "chat",
        processes: int | None = None,
        timeout: float = 120.0,
        window_seconds: float = 1.0,
        name: str | None = None,
    ) -> TextLoad:
        """Keep `concurrency` prompts in flight until three windows of at least `requests` answers agree.

        Three cases are recorded: all answers together, whose throughput is generated tokens a second; ``#ttft``, until
        the first text came; ``#decode``, each token after that. With a `rate`, requests arrive by themselves, so many a
        second, and at most `concurrency` are in flight: then the first case is left out, since its rate was asked for.
        Prompts are drawn, of about `prompt_tokens` tokens each and no two alike, unless texts are given.
        """
        __tracebackhide__ = True
        self._session.called.add(self._item.nodeid)

        def loaded() -> TextLoad:
            __tracebackhide__ = True
            from pytest_gpuperf.text.served.load_text import PARTS, TextPlan

            _refuse_other_servers(server)
            for each in (name, *(name_of_part(name, part) for part in PARTS)):
                take_name(self._item, self._names, each, 'gpuperf_text_load(server, name="long")')
            settings = of_test(self._item, self._session.settings)
            plan = TextPlan(
                prompts=None if prompts is None else tuple(prompts),
                prompt_tokens=prompt_tokens,
                max_new_tokens=max_new_tokens,
                concurrency=concurrency,
                requests=requests,
                rate=rate,
                arrivals=arrivals,
                api=api,
                processes=processes,
                timeout=timeout,
                window_seconds=window_seconds,
                budget=settings.budget,
            )
            return self._measured(server, plan, name, settings)

        return plainly(self._session.settings, loaded)

    def _measured(self, server: Server, plan: TextPlan, name: str | None, settings: TestSettings) -> TextLoad:
        __tracebackhide__ = True
        session, recorder = self._session, self._session.recorder
        skip_in_turns(session, LOAD_IN_TURNS)
        if session.settings.disable:
            plan = plan.once()
        first = _take(server, plan)
        way = session.way
        if not isinstance(way, Record):
            return first[0].load
        from pytest_gpuperf.measure.observation import unvalidated

        for part in first[0].blocks:
            if plan.rate is not None and not part:
                continue

            def measure(repeat: int, part: str = part) -> Measurement:
                loaded, evidence = first if repeat == 0 else _take(server, plan)
                notes = unvalidated(evidence)
                return loaded.measurement(recorder.name_of(repeat), part, evidence, notes)

            case = way.case_of(self._item, name_of_part(name, part) if part else name, settings, measure)
            way.keep(self._item, case)
        return first[0].load


def _refuse_other_servers(server: Server) -> None:
    if server.kind != "openai":
        raise UsageError(
            f"{server.name} at {server.url} is no language model's server. Load it with gpuperf_load(server, workload)."
        )


def _take(server: Server, plan: TextPlan) -> tuple[LoadedText, Evidence]:
    """Load the server once, and look which device did the work."""
    from pytest_gpuperf.serving.watched import Watched
    from pytest_gpuperf.text.served.load_text import load_text_server

    with Watched(server) as watched:
        loaded = load_text_server(server, plan)
    return loaded, watched.evidence(loaded.load.end_to_end.mean)
