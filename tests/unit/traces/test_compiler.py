"""What torch's compiler did, on real models: one that breaks its graph, one whose shapes change, one it gives up on."""

from __future__ import annotations

import pytest
import torch

from pytest_gpuperf.device.clocks import HostClock
from pytest_gpuperf.device.memory import ResidentMemory
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.measure.sampler import measure
from pytest_gpuperf.traces.compiler import Compiled, CompilerCounts, compiler_counts

TELLS_WHY = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 6)


class Breaks(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)

    def forward(self, x):
        y = self.layer(x)
        torch._dynamo.graph_break()
        return self.layer(y).relu()


def compiled(module: torch.nn.Module):
    """By dynamo alone: graphs, breaks and recompiles are its affair, and inductor would take seconds."""
    return torch.compile(module.eval(), backend="eager", dynamic=False)


@pytest.fixture(autouse=True)
def forgotten():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def done(call, *inputs) -> Compiled:
    before = compiler_counts()
    with torch.inference_mode():
        for x in inputs:
            call(x)
    return compiler_counts().since(before)


def test_a_model_that_breaks_its_graph():
    found = done(compiled(Breaks()), torch.ones(2, 4), torch.ones(2, 4))
    (reason,) = found.graph_breaks
    assert "graph_break" in reason
    assert "\n" not in reason
    assert (found.frames, found.graphs, found.graph_breaks[reason]) == (2, 2, 1)
    assert found.recompiles == 0
    assert found.seconds > 0


def test_changing_shapes_are_recompiles_with_their_reason():
    found = done(compiled(torch.nn.Linear(4, 4)), *(torch.ones(n, 4) for n in (2, 3, 2, 5)))
    assert (found.graphs, found.recompiles, found.graph_breaks) == (3, 2, {})
    assert sum(found.recompiled_for.values()) == (2 if TELLS_WHY else 0)
    assert all("size mismatch" in reason for reason in found.recompiled_for)


def test_what_the_compiler_gives_up_on():
    limit = "recompile_limit" if hasattr(torch._dynamo.config, "recompile_limit") else "cache_size_limit"
    with torch._dynamo.config.patch({limit: 1}):
        found = done(compiled(torch.nn.Linear(4, 4)), *(torch.ones(n, 4) for n in (2, 3)))
    (reason,) = found.gave_up
    assert "limit" in reason
    assert found.recompiles == 0
    (note,) = [note for note in found.notes if "gave up" in note]
    assert reason in note


def test_what_is_called_again_compiles_nothing():
    call, x = compiled(torch.nn.Linear(4, 4)), torch.ones(2, 4)
    done(call, x)
    again = done(call, x)
    assert (again.frames, again.graphs, again.seconds, again.notes) == (0, 0, 0.0, ())


def test_without_dynamo_nothing_was_compiled(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "torch._dynamo.utils")
    assert compiler_counts() == CompilerCounts()
    assert compiler_counts().since(CompilerCounts()).frames == 0


class Compilation:
    """dynamo's record of one compilation, as of a torch that gives no reason."""

    accumulated_cache_size = 1
    entire_frame_compile_time_s = None


def test_counts_of_a_torch_that_tells_less_and_reasons_of_several_lines():
    reason = "Call to f\n  Explanation: it prints.\n  Hint: do not"
    now = CompilerCounts({"graph_break": {reason: 3, " . ": 1}, "inductor": {"fxgraph_cache_hit": 2}}, (Compilation(),))
    found = now.since(CompilerCounts({"graph_break": {reason: 1}}))
    assert found.graph_breaks == {"Call to f: it prints": 2, "no reason given": 1}
    assert (found.recompiles, found.recompiled_for, found.seconds, found.cache_hits) == (1, {}, 0.0, 2)
    cost = found.cost(2.0)
    assert (cost.ready_in, cost.in_compiler, cost.cache) == (2.0, 0.0, "warm")


@pytest.mark.parametrize(
    ("frames", "reasons", "times", "why"), [(1, {}, "once", ""), (3, {"x grew": 3}, "3 times", " Why: x grew.")]
)
def test_compiling_while_it_is_timed_is_noted(frames, reasons, times, why):
    found = Compiled(frames, frames, {}, frames, reasons, {}, 0, 0, 1.5)
    (note,) = found.notes
    assert note.startswith(f"torch.compile compiled {times} more while this was timed, 1.5 s of it")
    assert f"steady state.{why} Call every shape" in note


def test_a_measurement_says_what_was_compiled_before_and_while_it_was_timed():
    """A model with a broken graph, whose inputs grow between two blocks."""
    call = compiled(Breaks())
    sizes = iter((3, 5))
    inputs: list[torch.Tensor] = []

    def grow(_samples) -> None:
        inputs[0] = torch.ones(next(sizes, 5), 4)

    with torch.inference_mode():
        inputs.append(torch.ones(2, 4))  # a tensor made outside would be of another kind than those that follow
        found = measure(
            lambda: call(inputs[0]),
            items=1,
            plan=Plan(budget=0.5),
            clock=HostClock(),
            memory=ResidentMemory(),
            session="s",
            on_samples=grow,
        )
    cost = found.compile_cost
    assert cost is not None
    assert (cost.graphs, cost.breaks, cost.recompiles) == (2, 1, 0)
    assert cost.ready_in >= cost.in_compiler > 0
    assert cost.cache is None  # inductor had no part in it
    assert found.first_call is not None
    assert cost.ready_in >= found.first_call
    (note,) = [note for note in found.notes if "torch.compile" in note]
    assert "compiled 4 times more while this was timed" in note  # two pieces of code, for two more shapes
    assert ("size mismatch" in note) == TELLS_WHY


def test_a_measurement_without_a_compiler_has_no_cost_of_one():
    found = measure(
        lambda: None, items=1, plan=Plan(budget=0.1), clock=HostClock(), memory=ResidentMemory(), session="s"
    )
    assert found.compile_cost is None
