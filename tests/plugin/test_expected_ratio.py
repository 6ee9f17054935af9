"""Story: an expectation on a ratio is a test that measures twice; this is the example of docs/ratios.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "ratios.md"


def example() -> str:
    """The first Python example of the page, as a reader copies it."""
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found


@pytest.mark.parametrize(("gain", "outcome"), [(2.0, "passed"), (1.2, "failed")])
def test_the_documented_example(story, gain, outcome):
    story.suite(
        f"""
        class Network:
            def __init__(self, milliseconds):
                self.milliseconds = milliseconds

            def half(self):
                return Network(self.milliseconds / {gain})

            def __call__(self, images):
                spin(self.milliseconds)

        def vit_b_16(device):
            network = Network(2)
            return network, network
    """,
        "models.py",
    )
    # On the machine of this test there is no tensor core: what is tried is the assertion.
    story.suite(example().replace('min_capability="7.0"', ""))
    result = story.run("--gpuperf-save", "run.json")
    result.assert_outcomes(**{outcome: 1})
    if outcome == "passed":
        result.stdout.fnmatch_lines(["  test_half_precision_pays#fp16 *", "  test_half_precision_pays#fp32 *"])


def test_it_is_skipped_where_there_are_no_tensor_cores(story):
    story.suite("def vit_b_16(device): ...", "models.py")
    story.suite(example())
    result = story.run()
    result.assert_outcomes(skipped=1)
