"""What goes wrong in a pipeline is one plain message, and nothing of it is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from time import monotonic, sleep

import pipeline_stages as given
import pytest

from pytest_gpuperf.device.processes import descendants
from pytest_gpuperf.errors import (
    DeviceLostError,
    MeasurementError,
    MissingError,
    OutOfMemoryError,
    UsageError,
    WorkloadError,
)
from pytest_gpuperf.pipeline import PipelineStage, run_once, run_pipeline

WHERE = pytest.mark.parametrize("where", ["thread", "process"])
same = ("same", given.same)


@pytest.fixture(autouse=True)
def nothing_left():
    """Workers and their threads are gone. The process that cleans shared memory up is Python's own, and stays."""
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("gpuperf")]
    assert not [pid for pid in descendants() if "spawn_main" in _command(pid)]


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


@WHERE
def test_a_stage_that_raises_is_named_with_its_item(where):
    with pytest.raises(WorkloadError, match="Stage 'bad' raised ValueError at item 40: a bad item") as raised:
        given.run(same, PipelineStage("bad", given.fail, where=where), ("last", given.rest))
    shown = str(raised.value) + "".join(traceback.format_exception(raised.value.__cause__))
    assert 'raise ValueError("a bad item")' in shown


@WHERE
def test_a_stage_whose_iterator_ends_is_named_with_what_to_do(where):
    with pytest.raises(WorkloadError, match=r"Stage 'bad' raised StopIteration at item .* use an iterator that lasts"):
        given.run(PipelineStage("bad", given.end, where=where))


def test_a_process_that_blocks_is_ended_and_named():
    began = monotonic()
    with pytest.raises(MeasurementError, match=r"Stage 'bad' has been at item 40 for 300 ms.* timeout=0.6.$"):
        given.run(same, PipelineStage("bad", given.block, where="process"), ("last", given.same), timeout=0.3)
    assert monotonic() - began < 30


def test_a_thread_that_blocks_is_named_and_it_is_mentioned_that_it_stays():
    released = threading.Event()

    def block(item):
        if item == given.FAILS_AT:
            released.wait()
        return item

    with pytest.raises(MeasurementError, match=r"Stage 'bad' has been at item 40 .* cannot be ended from outside"):
        given.run(same, ("bad", block), timeout=0.2)
    released.set()
    deadline = monotonic() + 10
    while any(t.name.startswith("gpuperf") for t in threading.enumerate()) and monotonic() < deadline:
        sleep(0.01)


def test_a_source_that_blocks_is_named():
    released = threading.Event()

    def source():
        yield from range(50)
        released.wait()

    with pytest.raises(MeasurementError, match="The source gave nothing for 200 ms, after 50 items"):
        given.run(same, ("rest", given.rest), source=source(), timeout=0.2, budget=5)
    released.set()
    sleep(0.05)


def test_a_source_that_raises_is_named():
    with pytest.raises(WorkloadError, match="The source raised ZeroDivisionError at item 40"):
        given.run(same, source=(1 // (given.FAILS_AT - i) for i in range(100)))


def test_a_process_that_dies_is_named_with_its_signal():
    with pytest.raises(MeasurementError, match=r"worker process of stage 'bad' was ended by signal 9 \(SIGKILL\)"):
        given.run(same, PipelineStage("bad", given.die, where="process"), ("last", given.same))


@pytest.mark.parametrize("source", [iter(range(9)), iter(range(30))])
def test_a_source_that_is_too_short_is_refused_with_what_it_needs(source):
    with pytest.raises(UsageError, match=r"ended, which is too few: .* to measure. Give more"):
        given.run(("rest", given.rest), source=source, budget=5, queue=20)


@pytest.mark.parametrize("run", [given.run, lambda stage, source: run_once([PipelineStage(*stage)], source)])
def test_an_empty_source_is_refused(run):
    with pytest.raises(UsageError, match="gives no items at all"):
        run(same, source=[])


@pytest.mark.parametrize(
    ("stages", "how", "message"),
    [
        ((), {}, "at least one stage"),
        ((same, same), {}, "Two stages are called 'same'"),
        ((same,), {"queue": 0}, "queue=0: it is a whole number, at least 1"),
        ((same,), {"queue": True}, "queue=True"),
        ((same,), {"batch": 0}, "batch=0"),
        ((same,), {"source": 3}, "source=3 cannot be iterated over"),
        ((same,), {"source": given.same}, "Call it"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(stages, how, message):
    with pytest.raises(UsageError, match=message):
        given.run(*stages, **how)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", given.same), "name of a stage is a text"),
        ((3, given.same), "name of a stage is a text"),
        (("cores", given.same), "reports use that word"),
        (("a", 3), "needs a function of one item, and 3 is none"),
        (("a", given.same, 0), "workers=0: it is a whole number, at least 1"),
        (("a", given.same, 1, "fork"), "where='fork' is not one of: thread, process, stream"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        PipelineStage(*arguments)


def test_a_function_that_only_makes_a_generator_is_refused():
    def lines(item):
        yield item

    with pytest.raises(UsageError, match="gives a generator or a coroutine"):
        PipelineStage("a", lines)


def test_what_is_no_stage_is_refused():
    with pytest.raises(UsageError, match=r"is no stage. Write it as PipelineStage"):
        run_pipeline([given.same], [1])


def test_a_function_that_cannot_be_pickled_is_refused():
    with pytest.raises(UsageError, match=r"cannot be sent to a process .*top of a module.* where=\"thread\""):
        given.run(PipelineStage("a", lambda item: item, where="process"))


def test_a_function_that_the_process_cannot_import_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not p.endswith("tests/support")])
    with pytest.raises(UsageError, match="cannot import the function of stage 'a': ModuleNotFoundError"):
        given.run(PipelineStage("a", given.same, where="process"))


def test_an_item_or_a_result_that_cannot_be_pickled_is_named():
    with pytest.raises(WorkloadError, match="An item cannot be sent to the worker process of stage 'a'"):
        given.run(PipelineStage("a", given.same, where="process"), source=[lambda: 1])
    with pytest.raises(WorkloadError, match=r"its result cannot be pickled"):
        given.run(PipelineStage("a", given.unpicklable, where="process"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), OutOfMemoryError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLostError),
    ],
)
def test_a_gpu_without_memory_or_lost_is_no_fault_of_the_function(error, expected):
    def raise_it(item):
        raise error

    with pytest.raises(expected):
        given.run(("a", raise_it))


def test_what_ends_a_test_ends_it_from_a_stage_too():
    def skip(item):
        pytest.skip("not on this machine")

    with pytest.raises(pytest.skip.Exception, match="not on this machine"):
        given.run(("a", skip))


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU")
def test_a_stream_without_cuda_is_a_reason_to_skip():
    pytest.importorskip("torch")
    with pytest.raises(MissingError, match="where='stream' needs a CUDA device"):
        given.run(PipelineStage("a", given.same, where="stream"))


SCRIPT = """
from threading import Thread
from pipeline_stages import *
from pytest_gpuperf.pipeline import PipelineStage

if __name__ == "__main__":
    def tell(item):
        print(item[1], flush=True)
    run(PipelineStage("a", add_pid, where="process"), ("rest", rest), ("tell", tell), budget=60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, number):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    paths = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        worker = int(process.stdout.readline())
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -number
    if number == signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert errors.count("Traceback") == 1  # the worker has nothing to say of it
    deadline = monotonic() + 10
    while Path(f"/proc/{worker}").exists() and "Z" not in _state(worker) and monotonic() < deadline:
        sleep(0.02)
    assert "spawn_main" not in _command(worker)


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
