"""The gate's own figures on a corpus of cases with known truth, beside the rules that other tools use.

    python benchmarks/gate_corpus.py --corpus DIRECTORY      prints one Markdown table

`stored` and `paired` are also what the corpus's own score.py can call: the product's own path with its defaults.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuperf.analysis import (
    CaseEvidence,
    Launch,
    Observed,
    Policy,
    block_medians,
    judge_paired,
    judge_suite,
    suspects,
)

POLICY = Policy()
PAIRED_POLICY = Policy(comparisons=48)
Sessions = Sequence[Sequence[float]]


def stored(baseline_sessions: Sessions, candidate_sessions: Sessions) -> str:
    """The stored gate on one case: the candidate's first session is judged, the others serve the confirmation."""
    baseline = [Observed(f"b{i}", block_medians(s)) for i, s in enumerate(baseline_sessions)]
    candidate = [Observed(f"c{i}", block_medians(s)) for i, s in enumerate(candidate_sessions)]
    case = {"case": CaseEvidence(baseline, candidate[:1])}
    if suspects(case, None, POLICY):
        case = {"case": CaseEvidence(baseline, candidate)}
    return judge_suite(case, None, POLICY)["case"].word


def paired(blocks: Sequence[Mapping[str, Any]]) -> str:
    """The paired gate on one case's interleaved blocks."""
    sides: dict[int, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for block in blocks:
        sides[block["launch"]][0].append(block["a"])
        sides[block["launch"]][1].append(block["b"])
    return judge_paired([Launch(a, b) for a, b in sides.values()], PAIRED_POLICY).word


def ratio_rule(figure: Callable[[Any], float], baseline: Sessions, candidate: Sessions) -> str:
    """pytest-benchmark's --benchmark-compare-fail: the last baseline session against this one, 5 %."""
    ratio = figure(candidate[0]) / figure(baseline[-1])
    return "regressed" if ratio > 1.05 else "improved" if ratio < 1 / 1.05 else "unchanged"


def mann_whitney(baseline: Sessions, candidate: Sessions) -> str:
    from scipy.stats import mannwhitneyu

    a, b = np.concatenate(baseline), np.asarray(candidate[0])
    return _by_p(float(mannwhitneyu(a, b).pvalue), np.median(b) > np.median(a))


def welch(baseline: Sessions, candidate: Sessions) -> str:
    """A t-test on the medians of sessions, all three of the candidate's."""
    from scipy.stats import ttest_ind

    if len(baseline) < 2:
        return "inconclusive"
    a, b = (np.log([np.median(s) for s in x]) for x in (baseline, candidate))
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return _by_p(float(a[0] == b[0]), b[0] > a[0])
    return _by_p(float(ttest_ind(a, b, equal_var=False).pvalue), b.mean() > a.mean())


def _by_p(p: float, slower: bool) -> str:
    return "unchanged" if p >= 0.05 else "regressed" if slower else "improved"


def criterion(baseline: Sessions, candidate: Sessions, draws: int = 400) -> str:
    """A 95 % bootstrap interval of the change of the mean, wholly beyond 1 %."""
    rng = np.random.default_rng(0)
    a, b = np.asarray(baseline[-1]), np.asarray(candidate[0])
    means = (rng.choice(x, (draws, x.size)).mean(axis=1) for x in (b, a))
    low, high = np.quantile(next(means) / next(means), [0.025, 0.975])
    return "regressed" if low > 1.01 else "improved" if high < 0.99 else "unchanged"


STORED_RULES = {
    "pytest-benchmark mean:5%": partial(ratio_rule, np.mean),
    "pytest-benchmark min:5%": partial(ratio_rule, np.min),
    "Mann-Whitney U, p < 0.05": mann_whitney,
    "Criterion, 1%": criterion,
    "Welch t, session medians": welch,
    "**ours, stored**": stored,
}


def row(name: str, by_ratio: Mapping[float, Counter[str]]) -> str:
    same = by_ratio[1.0]
    false = same["regressed"] / same.total()
    cells = [f"{100 * false:.2f}", f"{100 * (1 - (1 - false) ** 48):.0f}"]
    for truth in (1.02, 1.03, 1.05, 1.10):
        seen = by_ratio[truth]
        cells.append(f"{100 * seen['regressed'] / seen.total():.0f}" if seen else "-")
    passed = by_ratio[1.05]
    cells.append(f"{100 * passed['unchanged'] / passed.total():.0f}" if passed else "-")
    cells.append(f"{100 * same['inconclusive'] / same.total():.1f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    corpus = parser.parse_args().corpus
    sys.path.insert(0, corpus)
    score = importlib.import_module("score")
    cases = [c for c in score.load_all(corpus) if len(c["baseline_sessions"]) == 5]
    for kind in ("real", "synthetic"):
        print(f"\n{kind}, 5 baseline sessions\n")
        print("| gate | false alarms, % | suite of 48, % | 2% | 3% | 5% | 10% | passed at 5% | A/A inconclusive, % |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        chosen = [c for c in cases if c["kind"] == kind]
        for name, rule in STORED_RULES.items():
            seen: dict[float, Counter[str]] = defaultdict(Counter)
            for c in chosen:
                seen[c["truth_ratio"]][rule(c["baseline_sessions"], c["candidate_sessions"])] += 1
            print(row(name, seen), flush=True)
        seen = defaultdict(Counter)
        for c in (c for c in chosen if c["paired_blocks"]):
            seen[c["truth_ratio"]][paired(c["paired_blocks"])] += 1
        print(row("**ours, paired**", seen), flush=True)


if __name__ == "__main__":
    main()
