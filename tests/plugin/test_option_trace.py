"""--gpuperf-trace: a trace of each case, after its measurement."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

from examples import a_run

from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.device.numa import own_node
from pytest_gpuperf.plugin.traces import Traces
from pytest_gpuperf.traces.recorded_name import trace_name

SUITE = """
    import torch

    def add(x):
        return x + 1

    @pytest.mark.parametrize("shape", [2, 3], ids=["two of/them", "three"])
    def test_add(gpuperf, shape):
        gpuperf(add, torch.ones(shape))
        gpuperf(add, torch.ones(shape), name="again")

    def test_vit(gpuperf, model, backend):
        gpuperf(add, torch.ones(2))

    def pytest_generate_tests(metafunc):
        if "model" in metafunc.fixturenames:
            metafunc.parametrize(("model", "backend"), [("vit:p16-d12-h768-r224", "eager")])

    def test_plain(gpuperf):
        gpuperf(sum, range(100))

    def test_fails(gpuperf):
        gpuperf(add, torch.ones(4))
        assert False

    def test_raises_where_it_is_traced(gpuperf):
        def call():
            if torch.autograd.profiler._is_profiler_enabled:
                raise ValueError("not under a profiler\\nsecond line")
            return add(torch.ones(2))
        gpuperf(call)
"""


def fresh(story, *arguments: str):
    """In a process of its own: torch's profiler loads what pytester would forget, and what cannot be loaded twice."""
    return story.pytester.runpytest_subprocess("--gpuperf-device=cpu", "--gpuperf-budget=0.2", *arguments)


VIT = {"model": "vit:p16-d12-h768-r224", "backend": "eager"}
TRACED = {  # case -> its parameters, so far as a name is made from them
    "test_perf.py::test_add[two of/them]": {},
    "test_perf.py::test_add[two of/them]#again": {},
    "test_perf.py::test_add[three]": {},
    "test_perf.py::test_add[three]#again": {},
    "test_perf.py::test_vit[vit:p16-d12-h768-r224-eager]": VIT,
}


def steps_in(path: Path) -> list[str]:
    """The steps of a trace; each holds one addition."""
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    names = Counter(event.get("name") for event in events)
    steps = [name for name in names if name is not None and name.startswith("ProfilerStep#")]
    assert names["aten::add"] == len(steps)
    return sorted(steps)


def test_every_case_that_ran_torch_has_a_trace_with_its_steps(story):
    story.suite(SUITE)
    folder = story.path / "out/traces"
    folder.mkdir(parents=True)
    earlier, plain = folder / "earlier.json.gz", folder / trace_name("test_perf.py::test_plain", {}, None, None)
    earlier.touch()
    plain.touch()
    result = fresh(story, "--gpuperf-trace", "out/traces")
    result.assert_outcomes(passed=5, failed=1)
    names = {case: trace_name(case, parameters, None, own_node()) for case, parameters in TRACED.items()}
    assert {path.name for path in folder.iterdir()} == {*names.values(), earlier.name}
    for name in names.values():
        assert steps_in(folder / name) == [f"ProfilerStep#{n}" for n in range(1, 6)]
    result.stdout.fnmatch_lines(
        [
            "gpuperf: traces: 5 in *out/traces; read them with: gpuperf trace *out/traces",
            "gpuperf: no trace of 1 case: nothing of torch ran",
            "gpuperf: no trace of 1 case: ValueError: not under a profiler",
        ]
    )


PLAIN = """
    def test_spin(gpuperf):
        gpuperf(spin, 0.2)
"""


def test_a_suite_without_torch_loads_none_of_it_and_has_no_traces(story):
    story.suite(PLAIN + "        import sys\n        assert 'torch' not in sys.modules\n")
    result = fresh(story, "--gpuperf-trace", "traces")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["gpuperf: traces: none in *traces", "gpuperf: no trace of 1 case: nothing of torch ran"]
    )


def test_nothing_is_traced_where_nothing_is_measured(story):
    story.suite(PLAIN)
    result = story.run("--gpuperf-trace", "traces", "--gpuperf-disable")
    assert result.ret == 0
    assert not (story.path / "traces").exists()
    result.stdout.no_fnmatch_line("*traces*")


def test_a_folder_that_cannot_be_written_is_refused_before_measuring(story):
    story.suite(PLAIN)
    (story.path / "traces").write_text("")
    result = story.run("--gpuperf-trace", "traces")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --gpuperf-trace *traces: no trace can be written there: File exists*"])


def test_two_revisions_have_no_traces(story):
    story.suite(PLAIN)
    result = story.run("--gpuperf-trace", "traces", "--gpuperf-ab", "HEAD")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *--gpuperf-html and --gpuperf-trace have nothing to keep*"])


def test_a_call_of_many_seconds_is_not_traced(tmp_path):
    import torch

    traces = Traces(tmp_path, choose_device("cpu"))
    (case,) = a_run(0, level=6.0).cases

    def call() -> torch.Tensor:
        raise AssertionError("is not called")

    traces.record(case, call)
    assert list(traces.lines()) == [
        f"traces: none in {tmp_path}",
        "no trace of 1 case: a call takes more than 5 s, whose trace would fill the memory",
    ]
    assert list(tmp_path.iterdir()) == []
