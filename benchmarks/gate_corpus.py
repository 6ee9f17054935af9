"""The gate's own figures on a corpus of cases with known truth, beside the rules that other tools use.

    python benchmarks/gate_corpus.py --corpus DIRECTORY      prints one Markdown table

`stored` and `paired` are also what the corpus's own score.py can call: the product's own path with its defaults.
`suite` judges a whole suite on that path, with its canaries and, where they can be run, turns with the baseline's
revision: gate_weather.py draws suites for it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from gate_suites import FRESH, REFERENCES

from pytest_gpuperf.comparison.confirmed import Confirmed, confirmed_verdicts
from pytest_gpuperf.gate import (
    CaseEvidence,
    Launch,
    Observed,
    Policy,
    block_medians,
    find_suspects,
    judge_paired,
    judge_suite,
)
from pytest_gpuperf.gate.observations import Canaries
from pytest_gpuperf.gate.session_cost import spread_between
from pytest_gpuperf.gate.side_by_side import LOOKS, wanting_launches
from pytest_gpuperf.gate.verdicts import SUITE

POLICY = Policy()
PAIRED_POLICY = Policy(comparisons=48)
Sessions = Sequence[Sequence[float]]
Session = Mapping[str, Any]  # {"id", "time", "card", "revision", "samples"}
Sides = tuple[Sequence[float], Sequence[float]]  # one launch: the medians of its rounds, of the base and of the head
Turns = Callable[[Sequence[str]], Mapping[str, Sequence[Sides]] | None]


def stored(baseline_sessions: Sessions, candidate_sessions: Sessions) -> str:
    """The stored gate on one case: the candidate's first session is judged, the others serve the confirmation."""
    baseline = [Observed(f"b{i}", block_medians(s)) for i, s in enumerate(baseline_sessions)]
    candidate = [Observed(f"c{i}", block_medians(s)) for i, s in enumerate(candidate_sessions)]
    case = {"case": CaseEvidence(baseline, candidate[:1])}
    if find_suspects(case, None, POLICY):
        case = {"case": CaseEvidence(baseline, candidate)}
    return judge_suite(case, None, POLICY)["case"].word


def paired(blocks: Sequence[Mapping[str, Any]]) -> str:
    """The paired gate on one case's interleaved blocks."""
    sides: dict[int, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for block in blocks:
        sides[block["launch"]][0].append(block["a"])
        sides[block["launch"]][1].append(block["b"])
    return judge_paired([Launch(a, b) for a, b in sides.values()], PAIRED_POLICY).word


def suite(
    cases: Mapping[str, tuple[Sequence[Session], Sequence[Session]]], canaries: Canaries | None, turns: Turns | None
) -> dict[str, str]:
    """A word for every case, and under "(suite)" for all of them.

    The candidate's sessions are in the order in which they would be measured. Of them, and of the launches that
    `turns` gives, only those are read that the gate asks for: whoever draws them can count what a verdict costs.
    """
    evidence = {n: CaseEvidence(_observed(then), _observed(now[:1])) for n, (then, now) in cases.items()}
    again = find_suspects(evidence, canaries, POLICY)
    launches = (turns(sorted(again)) if turns and again else None) or {}
    fresh = again - launches.keys()
    calm = [n for n in evidence if n not in again][:REFERENCES] if fresh else []
    for name in (*fresh, *calm):
        evidence[name] = replace(evidence[name], candidate=_observed(cases[name][1][: 1 + FRESH]))
    verdicts = judge_suite(evidence, canaries, POLICY)
    whole = verdicts.get(SUITE)
    failing = [n for n in fresh if verdicts[n].word == "regressed" or (whole and whole.word == "regressed")]
    if failing:
        for name in (*failing, *calm):
            evidence[name] = replace(evidence[name], candidate=_observed(cases[name][1][: 1 + 2 * FRESH]))
        verdicts = judge_suite(evidence, canaries, POLICY)
    if launches:
        known = {n: spread_between(evidence[n].baseline) for n in launches}
        took = Confirmed(launches=_taken(launches, known))
        verdicts = confirmed_verdicts(verdicts, took, {}, known)
    return {n: v.word for n, v in verdicts.items()}


def _observed(sessions: Sequence[Session]) -> list[Observed]:
    return [Observed(s["id"], block_medians(s["samples"]), s["time"], s["card"]) for s in sessions]


def _taken(launches: Mapping[str, Sequence[Sides]], known: Mapping[str, float]) -> dict[str, list[Launch]]:
    """The launches of each case, as many as the gate wants and `turns` gives."""
    made: dict[str, list[Launch]] = {name: [] for name in launches}
    policies = dict.fromkeys(launches, replace(POLICY, comparisons=len(launches) * len(LOOKS)))
    while wanted := [
        n for n in wanting_launches(made, policies, known, extended=True) if len(made[n]) < len(launches[n])
    ]:
        for name in wanted:
            base, head = launches[name][len(made[name])]
            made[name].append(Launch([[m] for m in base], [[m] for m in head]))
    return made


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
