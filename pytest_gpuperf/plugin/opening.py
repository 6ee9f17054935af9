"""Opening a session: its settings, its order, its device, its gate, and everything that is refused before it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_gpuperf.errors import GpuPerfError, UsageError
from pytest_gpuperf.plugin import collection
from pytest_gpuperf.plugin.settings import SETTINGS, Settings, resolve

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.plugin.ab_worker import WorkerStart
    from pytest_gpuperf.plugin.gate import Gate
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.session import GpuperfSession
    from pytest_gpuperf.plugin.traces import Traces
    from pytest_gpuperf.plugin.ways import Way
    from pytest_gpuperf.sessions.order import Order

ORDER = pytest.StashKey["Order | None"]()
WORKER_START = pytest.StashKey["WorkerStart"]()
T = TypeVar("T")


def prepare(config: pytest.Config) -> None:
    """Resolve the settings; a process that was started for us obeys its order above them."""
    settings = refused(lambda: resolve(config))
    order = refused(_order)
    if order is not None:
        save = None if order.save is None else Path(order.save)
        nothing_else = dict.fromkeys(("compare", "markdown", "html", "csv", "trace"))
        settings = replace(settings, save=save, disable=False, **nothing_else)
        if order.turns is not None:
            from pytest_gpuperf.plugin import ab_worker

            refused(lambda: ab_worker.refuse_distribution(config))
            config.stash[WORKER_START] = ab_worker.WorkerStart(order.turns)
            config.pluginmanager.register(config.stash[WORKER_START], "gpuperf-worker-start")
    elif settings.ab is not None:
        from pytest_gpuperf.plugin import ab_worker

        refused(lambda: ab_worker.refuse_distribution(config))
    config.stash[SETTINGS], config.stash[ORDER] = settings, order


def _order() -> Order | None:
    if "GPUPERF_SESSION" not in os.environ:  # spares every other session the import
        return None
    from pytest_gpuperf.sessions.order import take_order

    return take_order()


def refused(do: Callable[[], T]) -> T:
    """What makes the whole session pointless ends it as pytest ends on a wrong option: exit code 4."""
    try:
        return do()
    except GpuPerfError as error:
        raise pytest.UsageError(str(error)) from error


def keep_ordered(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run only the tests this process was started for."""
    order = config.stash[ORDER]
    if order is not None and order.only is not None:
        only = set(order.only)
        others = [item for item in items if item.nodeid not in only]
        items[:] = [item for item in items if item.nodeid in only]
        if others:
            config.hook.pytest_deselected(items=others)


def begin(session: pytest.Session) -> None:
    """Choose the device and open the gate, where something of ours was collected or asked for."""
    config = session.config
    settings = config.stash[SETTINGS]
    items = collection.involved(session.items)
    if settings.ab is not None and config.stash[ORDER] is None:
        from pytest_gpuperf.plugin.ab_session import ABSession

        compared = refused(lambda: ABSession(config, settings))
        compared.keep_measuring(session)
        config.pluginmanager.register(compared, "gpuperf-ab")
        return
    start: WorkerStart | None = config.stash.get(WORKER_START, None)
    if config.getoption("collectonly") or not (items or settings.compare or start):
        return
    from pytest_gpuperf.plugin.session import SESSION
    from pytest_gpuperf.plugin.summary import Summary

    ours = refused(lambda: _open(config, settings, items))
    config.stash[SESSION] = ours
    if start is not None:
        from pytest_gpuperf.plugin.ab_worker import Worker

        worker = Worker(start, ours.recorder, require_proof=settings.require_proof)
        worker.present(session)
        ours.way, ours.in_turns = worker, True
        config.pluginmanager.register(worker, "gpuperf-worker")
    if not ours.shared:
        config.pluginmanager.register(ours, "gpuperf-session")
        if start is None:  # else the controller reports
            config.pluginmanager.register(Summary(ours), "gpuperf-summary")


def _open(config: pytest.Config, settings: Settings, items: list[pytest.Item]) -> GpuperfSession:
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.session import GpuperfSession
    from pytest_gpuperf.plugin.summary import write_reports
    from pytest_gpuperf.sessions.provenance import packages_hash, revision

    chosen = choose_device(settings.device)
    if settings.require_gpu:
        collection.require_gpu(chosen)
    collection.skip_what_cannot_run(items, chosen, settings.device)
    if settings.save is not None or settings.compare is not None:
        _refuse_moved_root(config)
    if not settings.disable:
        _refuse_unwritable(settings)
    gate = None
    if settings.compare and not settings.disable:
        from pytest_gpuperf.plugin.gate import open_gate  # with scipy: half a second that only a verdict is worth

        gate = open_gate(config, settings, chosen)
    tests = dict.fromkeys(item.nodeid for item in items if collection.measures(item))
    order = config.stash[ORDER]
    recorder = Recorder(chosen, revision(config.rootpath), tests, order.slowdown if order else 0.0)
    recorder.profiles = order.profiles if order else settings.save is not None
    recorder.spared = order.spared if order else ()
    recorder.packages = packages_hash()
    recorder.traces = _traces(settings, chosen)
    return GpuperfSession(
        config,
        settings,
        recorder,
        gate,
        _way(settings, order, recorder, gate),
        started_for_us=order is not None,
        write_reports=write_reports,
    )


def _traces(settings: Settings, chosen: Chosen) -> Traces | None:
    if settings.trace is None or settings.disable:
        return None
    from pytest_gpuperf.plugin.traces import Traces

    return Traces(settings.trace, chosen)


def _way(settings: Settings, order: Order | None, recorder: Recorder, gate: Gate | None) -> Way:
    from pytest_gpuperf.plugin.ways import Explain, Record, RunOnce

    if settings.disable:
        return RunOnce(recorder)
    if order is not None and order.look:
        return Explain(recorder)
    return Record(recorder, gate, settings.require_proof)


def _refuse_moved_root(config: pytest.Config) -> None:
    """Without a file of settings pytest takes its root from what looks like a path: the values of options too.

    So the same command run twice, once before and once after FILE is there, gives every test another name.
    """
    if config.inipath is not None or config.getoption("rootdir", default=None):
        return
    given = [Path(config.invocation_params.dir, a.partition("::")[0]).resolve() for a in config.args]
    around = Path(os.path.commonpath([config.invocation_params.dir, *(p for p in given if p.exists())]))
    if config.rootpath in around.parents and not (config.rootpath / "setup.py").exists():
        raise UsageError(
            f"pytest took {config.rootpath} for the root of this project, since it has no file of pytest's settings "
            f"and the value of an option looks like a test's path. Cases would be named "
            f"{around.relative_to(config.rootpath)}/... now, and differently the next time. Make an empty pytest.ini "
            f"here, or write the option with an equals sign: --gpuperf-save=FILE."
        )


def _refuse_unwritable(settings: Settings) -> None:
    """Better now than after the measuring."""
    from pytest_gpuperf.records.envelope import RUN
    from pytest_gpuperf.records.files import REPORT, check_writable

    if settings.trace is not None:
        from pytest_gpuperf.plugin.traces import refuse_unwritable_folder

        refuse_unwritable_folder(settings.trace)
    page = None
    if settings.html is not None:
        from pytest_gpuperf.reports.html.rendering import NAME, require_jinja2

        require_jinja2()
        page = settings.html / NAME
    for path, kind in ((settings.save, RUN), (settings.markdown, REPORT), (settings.csv, REPORT), (page, REPORT)):
        if path is not None:
            check_writable(path, kind)
