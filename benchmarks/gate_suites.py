"""Whole suites drawn from synthetic machines: how often an unchanged suite fails, and how surely a slower one does.

python benchmarks/gate_suites.py --corpus DIRECTORY_OF_SYNTH [--suites 60]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections import Counter
from dataclasses import replace
from math import sqrt

import numpy as np

from pytest_gpuperf.analysis.compaction import block_medians
from pytest_gpuperf.analysis.evidence import CaseEvidence, Observed, Policy
from pytest_gpuperf.analysis.gate import SUITE, judge_suite, suspects
from pytest_gpuperf.analysis.paired import Launch, judge_paired, needs_more_launches

BASELINE, FRESH, REFERENCES = 5, 2, 3
CANARIES = ("matmul", "copy", "host loop")


def bases(machine, rng, tests):
    """Tests last differently long, so that a coarse timer meets each at another place between two ticks."""
    return machine.base_us * np.exp(rng.uniform(-0.35, 0.35, tests))


def stored_suite(synth, machine, rng, tests, share=0.0, slow=0.0, machine_slow=0.0, canaries=True):
    """Draw, screen, confirm, judge: as the plugin does."""
    base = bases(machine, rng, tests)
    slowed = set(range(round(share * tests) if share else 0)) if share < 1 else set(range(tests))
    if slow and share == 0:
        slowed = {0}
    readings, shared = {}, {}
    fixed = replace(machine, base_us=machine.base_us * 3)

    def session(number, *, now):
        name = f"{'now' if now else 'then'}{number}"
        shared[name] = synth.common_offset(machine, rng) + (np.log1p(machine_slow) if now else 0.0)
        if canaries:
            readings[name] = {c: block_medians(synth.session(fixed, rng, common=shared[name])) for c in CANARIES}
        return name

    def observe(name, test, ratio):
        own = replace(machine, base_us=base[test])
        return Observed(name, block_medians(synth.session(own, rng, ratio, common=shared[name])))

    def ratio(test):
        return 1 + slow if test in slowed else 1.0

    before = [session(i, now=False) for i in range(BASELINE)]
    baseline = {t: [observe(s, t, 1.0) for s in before] for t in range(tests)}
    first = session(0, now=True)
    found = {str(t): CaseEvidence(baseline[t], [observe(first, t, ratio(t))]) for t in range(tests)}
    policy = Policy()
    again = suspects(found, readings or None, policy)
    if again:
        calm = [n for n in found if n not in again][:REFERENCES]
        fresh = [session(i + 1, now=True) for i in range(FRESH)]
        for n in (*again, *calm):
            more = [observe(s, int(n), ratio(int(n))) for s in fresh]
            found[n] = replace(found[n], candidate=[*found[n].candidate, *more])
    return judge_suite(found, readings or None, policy), slowed, len(again)


def paired_suite(synth, machine, rng, tests, slow=0.0):
    base = bases(machine, rng, tests)
    policy = Policy(comparisons=tests)
    words = Counter()
    hit = None
    for t in range(tests):
        own, ratio, launches = replace(machine, base_us=base[t]), 1 + slow if t == 0 else 1.0, []
        while needs_more_launches(launches, policy):
            blocks = synth.paired(own, rng, ratio, len(launches))
            launches.append(Launch([b["a"] for b in blocks], [b["b"] for b in blocks]))
        word = judge_paired(launches, policy).word
        if t == 0:
            hit = word
        if t or not slow:
            words[word] += 1
    return words, hit


def wilson(bad, count, z=1.96):
    p = bad / count
    middle, half = p + z * z / 2 / count, z * sqrt(p * (1 - p) / count + z * z / 4 / count / count)
    return max(0.0, (middle - half) / (1 + z * z / count)), min(1.0, (middle + half) / (1 + z * z / count))


def share(hits, count):
    low, high = wilson(hits, count)
    return f"{100 * hits / count:.1f}% ({100 * low:.1f}-{100 * high:.1f}%)"


def speed():
    print("\n| cases x sessions | judge_suite, s |\n|---|---:|")
    rng = np.random.default_rng(0)
    for count in (1000, 2500, 5000, 10000, 20000):
        medians = rng.lognormal(0, 0.01, (count, 11, 16))
        cases = {
            str(i): CaseEvidence(
                [Observed(f"s{j}", tuple(m[j].tolist()), j * 90000.0, "card") for j in range(10)],
                [Observed("now", tuple(m[10].tolist()), 1e7, "card")],
            )
            for i, m in enumerate(medians)
        }
        canaries = {f"s{j}": {c: [1e-3] * 8 for c in CANARIES} for j in range(10)} | {
            "now": {c: [1e-3] * 8 for c in CANARIES}
        }
        best = min(timed(cases, canaries) for _ in range(3))
        print(f"| {count} x 10 | {best:.3f} |")


def timed(cases, canaries):
    start = time.perf_counter()
    judge_suite(cases, canaries, Policy())
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--suites", type=int, default=60)
    parser.add_argument("--tests", type=int, nargs="*", default=[1, 2, 3, 48, 200, 1000])
    parser.add_argument("--only", choices=["stored", "paired", "speed"])
    arguments = parser.parse_args()
    sys.path.insert(0, arguments.corpus)
    synth = importlib.import_module("synth")
    rng = np.random.default_rng(20)
    if arguments.only in {None, "stored"}:
        stored_table(synth, rng, arguments)
    if arguments.only in {None, "paired"}:
        paired_table(synth, rng, arguments)
    if arguments.only in {None, "speed"}:
        speed()


def stored_table(synth, rng, arguments):
    print(
        "| machine | tests | slowed | suites | failed | slowed tests found | inconclusive | measured again |"
    )
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    plans = [(0.0, 0.0, 0.0), (0.0, 0.0, 0.02), (0.0, 0.05, 0.0), (0.0, 0.10, 0.0)]
    plans += [(s, x, 0.0) for s in (0.4, 0.6, 1.0) for x in (0.05, 0.10)]
    for tests in arguments.tests:
        for name, machine in synth.DEV.items():
            for portion, slow, machine_slow in plans:
                if (tests < 10 and portion in {0.4, 0.6}) or (tests > 48 and slow):
                    continue
                count = max(2, arguments.suites * 48 // max(tests, 48))
                failed = found = slowed_tests = open_tests = again = 0
                for _ in range(count):
                    verdicts, slowed, repeated = stored_suite(synth, machine, rng, tests, portion, slow, machine_slow)
                    failed += any(v.word == "regressed" for v in verdicts.values())
                    if slow:
                        found += sum(verdicts[str(t)].word == "regressed" for t in slowed)
                        slowed_tests += len(slowed)
                    open_tests += sum(v.word == "inconclusive" for n, v in verdicts.items() if n != SUITE)
                    again += repeated
                what = f"{portion:.0%} by {slow:.0%}" if portion else f"one by {slow:.0%}" if slow else "none"
                what += f", machine by {machine_slow:.0%}" if machine_slow else ""
                hits = f"{100 * found / slowed_tests:.0f}%" if slowed_tests else ""
                total = count * tests
                print(
                    f"| {name} | {tests} | {what} | {count} | {share(failed, count)} | {hits} | "
                    f"{100 * open_tests / total:.1f}% | {100 * again / total:.1f}% |",
                    flush=True,
                )


def paired_table(synth, rng, arguments):
    print("\n| machine | tests | slowed | suites | failed falsely | slowed test found | inconclusive A/A tests |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for tests in (t for t in arguments.tests if t > 3):
        for name, machine in synth.DEV.items():
            for slow in (0.0, 0.02, 0.05):
                if tests > 48 and slow:
                    continue
                count = max(2, arguments.suites * 24 // tests)
                failed = hits = 0
                words = Counter()
                for _ in range(count):
                    others, hit = paired_suite(synth, machine, rng, tests, slow)
                    failed += others["regressed"] > 0
                    hits += hit == "regressed"
                    words += others
                found = f"{100 * hits / count:.0f}%" if slow else ""
                print(
                    f"| {name} | {tests} | {f'one by {slow:.0%}' if slow else 'none'} | {count} | "
                    f"{share(failed, count)} | {found} | {100 * words['inconclusive'] / words.total():.2f}% |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
