"""Two baselines of one suite, recorded on two days: each session of one is judged by the other, as a run would be.

    python benchmarks/another_day.py THEN.json NOW.json --shares 0 0.02 0.03 0.05

The code is the same, so every conviction is false; a share makes one case slower by arithmetic, in all of its
sessions, each case in its turn. What a suspect would be measured again in are the sessions that follow.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gate_corpus import Session, suite

from pytest_gpuperf.comparison.match import epoch
from pytest_gpuperf.records.files import read_baseline
from pytest_gpuperf.records.model import Baseline


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
    """The verdicts of each session of the other; those after it are what suspects are measured again in."""
    stored = sessions_of(baseline)
    runs = sessions_of(other, slowed, share)
    for first in range(len(other.sessions)):
        turned = {name: sessions[first:] + sessions[:first] for name, sessions in runs.items()}
        words = suite({name: (stored[name], sessions) for name, sessions in turned.items()}, None, None)
        yield {name: word for name, word in words.items() if name in runs}


def sessions_of(baseline: Baseline, slowed: str = "", share: float = 0.0) -> dict[str, list[Session]]:
    """By case, as `gate_corpus` takes them."""
    headers = {header.id: header for header in baseline.sessions}
    return {
        case.id: [
            {
                "id": series.session,
                "time": epoch(headers[series.session].time),
                "card": headers[series.session].card,
                "samples": [median * (1 + share if case.id == slowed else 1) for median in series.medians],
            }
            for series in case.series
        ]
        for case in baseline.cases
    }


if __name__ == "__main__":
    main()
