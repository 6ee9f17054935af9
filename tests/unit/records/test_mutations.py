"""A few thousand mutations of a baseline: reading ends in success or in the one error, the file untouched."""

from __future__ import annotations

import random
import runpy
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "results_files.py"


def test_mutations_end_in_success_or_in_the_one_error() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}: python benchmarks/results_files.py --mutations 2500 --seed {seed}")
    seen = runpy.run_path(str(BENCHMARK))["mutations"](2500, seed)
    print(seen.most_common())
    assert seen.total() == 2500
    assert not [what for what in seen if what != "success" and not what.startswith("FileError: ")]
    assert 0 < seen["success"] < 1000
    assert len(seen) > 20  # many kinds of flaws were tried
