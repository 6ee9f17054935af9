"""The fixture `gpuperf_load`: many clients at once, against a server, as a case like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.plugin.fixtures import take_name
from pytest_gpuperf.plugin.settings import TestSettings, of_test
from pytest_gpuperf.plugin.ways import Record

if TYPE_CHECKING:
    from pytest_gpuperf.models import Workload
    from pytest_gpuperf.plugin.session import GpuperfSession
    from pytest_gpuperf.records.model import Measurement
    from pytest_gpuperf.records.served_load import Arrivals, Load, Protocol
    from pytest_gpuperf.serving.load_server import LoadPlan
    from pytest_gpuperf.serving.server import Server


@dataclass
class GpuPerfLoad:
    """Loads a server for a test; records it and has it compared."""

    _item: pytest.Item
    _session: GpuperfSession
    _names: set[str | None] = field(default_factory=set[str | None])

    def __call__(
        self,
        server: Server,
        workload: Workload | str | Sequence[Any],
        *,
        batch: int = 1,
        concurrency: int = 16,
        requests: int = 200,
        rate: float | None = None,
        arrivals: Arrivals = "poisson",
        protocol: Protocol = "binary",
        processes: int | None = None,
        timeout: float = 60.0,
        window_seconds: float = 1.0,
        name: str | None = None,
    ) -> Load:
        """Keep `concurrency` requests in flight until three windows of at least `requests` answers agree.

        With a `rate`, requests arrive by themselves, so many a second, and at most `concurrency` are in flight: such a
        load is there to be asserted on, and is not recorded. A workload is a model, or the name of one at the session's
        scale; arrays in its place are sent as they are.
        """
        __tracebackhide__ = True
        from pytest_gpuperf.serving.load_server import LoadPlan

        self._session.called.add(self._item.nodeid)
        try:
            _refuse_language_model(server)
            take_name(self._item, self._names, name, 'gpuperf_load(server, workload, name="burst")')
            settings = of_test(self._item, self._session.settings)
            plan = LoadPlan(
                batch=batch,
                concurrency=concurrency,
                requests=requests,
                rate=rate,
                arrivals=arrivals,
                protocol=protocol,
                processes=processes,
                timeout=timeout,
                window_seconds=window_seconds,
                budget=settings.budget,
            )
            return self._measure(server, self._named(workload), plan, name, settings)
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    def _named(self, workload: Workload | str | Sequence[Any]) -> Workload | Sequence[Any]:
        if not isinstance(workload, str):
            return workload
        from pytest_gpuperf.models import load

        return load(workload, self._session.settings.scale)

    def _measure(
        self,
        server: Server,
        workload: Workload | Sequence[Any],
        plan: LoadPlan,
        name: str | None,
        settings: TestSettings,
    ) -> Load:
        __tracebackhide__ = True
        take = _taking(server, workload, plan, disabled=self._session.settings.disable)
        session, recorder = self._session, self._session.recorder
        skip_in_turns(session, LOAD_IN_TURNS)
        if not isinstance(session.way, Record) or plan.rate is not None:
            return _load_of(take(recorder.session))
        case = session.way.case_of(self._item, name, settings, lambda repeat: take(recorder.name_of(repeat)))
        session.way.keep(self._item, case)
        return _load_of(case.measurements[0])


LOAD_IN_TURNS = "a load is not measured in turns with another revision: it would load two servers at once"


def skip_in_turns(session: GpuperfSession, why: str) -> None:
    """Where two revisions take turns, what would keep both at work at once cannot."""
    if session.in_turns:
        pytest.skip(why)


def _refuse_language_model(server: Server) -> None:
    if server.kind == "openai":
        raise UsageError(
            f"{server.name} at {server.url} is a language model's server. Load it with gpuperf_text_load(server)."
        )


def _taking(
    server: Server, workload: Workload | Sequence[Any], plan: LoadPlan, *, disabled: bool
) -> Callable[[str], Measurement]:
    """What loads the server once, for the session of that name."""
    from dataclasses import replace

    from pytest_gpuperf.measure.observation import unvalidated
    from pytest_gpuperf.serving.load_server import load_server
    from pytest_gpuperf.serving.watched import Watched

    inputs, check = workload, None
    if hasattr(workload, "module"):  # arrays do not need torch
        from pytest_gpuperf.serving.check_answers import check_of, inputs_of

        model = cast("Workload", workload)
        inputs = inputs_of(model, plan.batch)
        check = check_of(server, model, inputs)
        plan = replace(plan, batch=model.items(plan.batch))
    arrays = cast("Sequence[Any]", inputs)
    if disabled:
        plan = plan.once()

    def take(session: str) -> Measurement:
        with Watched(server) as watched:
            loaded = load_server(server, arrays, plan, check=check)
        evidence = watched.evidence(loaded.load.latency.mean)
        return loaded.measurement(session, evidence, notes=unvalidated(evidence))

    return take


def _load_of(measurement: Measurement) -> Load:
    assert measurement.load is not None
    return measurement.load
