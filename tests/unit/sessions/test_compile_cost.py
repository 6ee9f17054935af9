"""What compiling takes in a process of its own, by an empty cache on the disk and by a warm one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.sessions.compile_cost import compile_cost

PAGE = Path(__file__).parents[3] / "docs/measuring.md"
# Products of matrices alone: inductor compiles no C++ for them, which would take half a minute.
MODEL = """
import torch
from pytest_gpuperf.models import Built

def build(scale, pretrained):
    return Built(torch.nn.Linear(4, 4), lambda batch, generator: (torch.randn(batch, 4, generator=generator),))
"""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """A package with a model of its own, as a user's is."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "linear_of_theirs.py").write_text(MODEL)
    info = folder / "linear_of_theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: linear-of-theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest_gpuperf.models]\ntheir-linear = linear_of_theirs:build\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        yield


def test_cold_then_warm_as_the_page_shows_it():
    (snippet,) = re.findall(
        r"```python\n(from pytest_gpuperf.sessions.compile_cost .*?)```", PAGE.read_text(), re.DOTALL
    )
    names: dict[str, CompileCost] = {}
    exec(snippet.replace('"resnet50"', '"their-linear"'), names)
    cold, warm = names["cold"], names["warm"]
    assert (cold.cache, warm.cache) == ("cold", "warm")
    assert (cold.graphs, warm.graphs) == (1, 1)
    assert (cold.breaks, cold.recompiles, cold.gave_up) == (0, 0, {})
    assert cold.ready_in >= cold.in_compiler > 0


def test_a_back_end_that_compiles_nothing_has_no_cost_of_it():
    with pytest.raises(SessionError, match="eager does not use torch"):
        compile_cost("their-linear", 2, backend="eager")


def test_what_goes_wrong_there_is_told_with_its_last_lines():
    with pytest.raises(
        SessionError, match=r"compiles no-model full 2 .* ended with exit code 1[\s\S]*There is no model"
    ):
        compile_cost("no-model", 2)


def test_a_limit_of_time():
    with pytest.raises(SessionError, match="took longer than 0 s and was stopped"):
        compile_cost("their-linear", 2, timeout=0.01)
