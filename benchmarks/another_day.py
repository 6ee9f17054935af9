"""Two baselines of one suite, recorded on two days: each session of one is judged by the other, as a run would be.

    python benchmarks/another_day.py THEN.json NOW.json --shares 0 0.02 0.03 0.05

The code is the same, so every conviction is false; a share makes one case slower by arithmetic, in all of its
sessions, each case in its turn. A suspect is measured again: the next two sessions stand for those.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gate_corpus import POLICY

from pytest_gpuperf.gate import CaseEvidence, Observed, find_suspects, judge_suite
from pytest_gpuperf.records.files import read_baseline
from pytest_gpuperf.records.model import Accepted, Baseline

AGAIN = 2  # sessions in which suspects are measured again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baselines", type=Path, nargs=2)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.02, 0.03, 0.05])
    options = parser.parse_args()
    then, now = (read_baseline(path) for path in options.baselines)
    print("| one case slower by | its verdicts | the others' |\n|---|---|---|")
    for share in options.shares:
        of_slowed, of_others = Counter[str](), Counter[str]()
        for baseline, other in ((then, now), (now, then)):
            slowed = [case.id for case in baseline.cases] if share else [""]
            for name in slowed:
                for words in judged(baseline, other, name, share):
                    for case, word in words.items():
                        (of_slowed if case == name else of_others)[word] += 1
        print(f"| {share:.0%} | {shown(of_slowed)} | {shown(of_others)} |")


def shown(words: Counter[str]) -> str:
    return ", ".join(f"{word} {count}" for word, count in sorted(words.items())) or "-"


def judged(baseline: Baseline, other: Baseline, slowed: str, share: float) -> Iterator[dict[str, str]]:
    """The verdicts of each session of the other."""
    runs = {case.id: observed(case, 1 + share if case.id == slowed else 1) for case in other.cases}
    stored = {case.id: observed(case, 1) for case in baseline.cases}
    for first in range(min(len(sessions) for sessions in runs.values())):
        once = {name: CaseEvidence(stored[name], runs[name][first : first + 1]) for name in runs}
        again = find_suspects(once, None, POLICY)
        for name in again:
            turned = runs[name][first:] + runs[name][:first]
            once[name] = CaseEvidence(stored[name], turned[: 1 + AGAIN])
        yield {name: judgment.word for name, judgment in judge_suite(once, None, POLICY).items() if name in runs}


def observed(case: Accepted, factor: float) -> list[Observed]:
    return [Observed(series.session, np.array(series.medians) * factor) for series in case.series]


if __name__ == "__main__":
    main()
