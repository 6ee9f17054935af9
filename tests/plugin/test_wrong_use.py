"""A wrong use is told once, and what a workload raises is shown as the workload's: none of our lines stand between."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("gpuperf(sum, [1], items=0)", "items=0: throughput is items per second"),
        ("gpuperf(3)", "gpuperf(fn, *args) measures a callable; 3 is none"),
        ("gpuperf(sum, [1]); gpuperf(sum, [1])", "measures twice without a name"),
    ],
)
def test_it_is_told_once(story, call, said):
    story.suite(f"def test_wrong(gpuperf):\n    {call}\n")
    text = story.run("-rN").stdout.str()
    assert text.count(said) == 1, text
    assert "During handling" not in text


def test_what_a_workload_raises_is_shown_without_our_lines(story):
    story.suite("def test_wrong(gpuperf):\n    gpuperf(lambda: 1 / 0)\n")
    text = story.run("-rN").stdout.str()
    assert "E   ZeroDivisionError: division by zero" in text
    assert "WorkloadError: The workload raised ZeroDivisionError: division by zero" in text
    assert "recorder.py" not in text
    assert "collector_off" not in text
