"""What turns, or the code itself, make of the verdicts that a baseline gave."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from examples import a_baseline, a_run

from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.confirmed import Confirmed, confirmed_verdicts, learned
from pytest_gpuperf.gate.observations import Policy
from pytest_gpuperf.gate.side_by_side import Launch, figures_of, judge_paired
from pytest_gpuperf.gate.verdicts import SUITE
from pytest_gpuperf.records.model import Beside, Confirmation, Run, Verdict, Word


def verdict(word: Word = "regressed", ratio: float = 1.1) -> Verdict:
    return Verdict(word=word, ratio=ratio, low=ratio * 0.98, high=ratio * 1.02, reason="as the baseline has it")


def launches(ratio: float, count: int = 5) -> list[Launch]:
    rng = np.random.default_rng(0)

    def rounds(level: float) -> list[list[float]]:
        return [[float(x)] for x in level * np.exp(rng.normal(0, 0.002, 12))]

    return [Launch(rounds(1e-3), rounds(1e-3 * ratio)) for _ in range(count)]


def told(**learned: object) -> Run:
    """A run of the case `a` that learned something beside abc123, which `a_baseline` was recorded at."""
    beside = Beside(revision="abc123", **learned)  # type: ignore[arg-type]
    return msgspec.structs.replace(a_run(9), confirmation=Confirmation(tests=1, seconds=1.0), beside=(beside,))


CASE = "tests/test_x.py::test[a]"


def test_what_a_run_learned_holds_beside_the_revision_that_it_was_learned_of() -> None:
    figures = tuple(map(figures_of, launches(1.05)))
    run = told(launches={CASE: figures}, unconfirmed={"energy": {CASE: "no time"}})
    found = learned(run, a_baseline(0, 1))
    assert found is not None
    assert found.launches == {CASE: figures}
    assert found.base == {CASE: "abc123"}
    assert found.unconfirmed == {"energy": {CASE: "no time"}}
    other = tuple(msgspec.structs.replace(s, revision="def456") for s in a_baseline(0, 1).sessions)
    assert learned(run, msgspec.structs.replace(a_baseline(0, 1), sessions=other)) is None
    assert learned(a_run(9), a_baseline(0, 1)) is None


def test_a_kept_run_is_judged_by_what_it_learned_and_not_by_its_sessions_alone() -> None:
    slower = {"level": 0.013}
    day = msgspec.structs.replace(told(), cases=a_run(9, **slower).cases)
    baseline = a_baseline(0, 1, 2, 3, 4)
    words = {}
    for name, learned_of in {
        "nothing": {},
        "turns": {"launches": {CASE: tuple(map(figures_of, launches(1.0)))}},
        "same code": {"same_code": (CASE,)},
        "no turns": {"not_in_turns": {CASE: "here is no git"}},
        "interrupted": {"unconfirmed": {"time": {CASE: "it was interrupted"}}},
    }.items():
        run = msgspec.structs.replace(day, beside=told(**learned_of).beside)
        (found,) = (f for f in compare(run, baseline, name="base.json").findings if f.evidence == "time")
        words[name] = found.verdict.word
        assert (found.turns is not None) == (name == "turns")
    assert words.pop("nothing") == words.pop("no turns") != "unchanged"
    assert words == {"turns": "unchanged", "same code": "machine", "interrupted": "inconclusive"}


def test_a_kept_launch_gives_the_verdict_of_its_samples() -> None:
    rng = np.random.default_rng(1)
    coarse = [
        Launch(*(np.round(rng.normal(level, 0.4, (12, 8)) / 0.5).tolist() for level in (9.0, 9.3))) for _ in range(5)
    ]
    for made in (launches(1.03), coarse):
        as_measured, as_kept = (judge_paired(of, Policy()) for of in (made, [figures_of(one) for one in made]))
        assert as_kept.word == as_measured.word
        for field in ("ratio", "low", "high", "before"):
            assert getattr(as_kept, field) == pytest.approx(getattr(as_measured, field), rel=1e-12)


def test_turns_decide_whatever_the_baseline_said() -> None:
    took = Confirmed(launches={"same": launches(1.0), "slow": launches(1.05)})
    found = confirmed_verdicts(
        {"same": verdict(), "slow": verdict("unchanged"), "other": verdict("improved")}, took, {}
    )
    assert {name: v.word for name, v in found.items()} == {
        "same": "unchanged",
        "slow": "regressed",
        "other": "improved",
    }
    assert [found["same"].basis, found["other"].basis] == ["turns", "baseline"]
    assert "5 launches in turns" in found["slow"].reason


@pytest.mark.parametrize(("ratio", "word"), [(1.0, "unchanged"), (1.05, "regressed")])
def test_a_suite_that_looked_slower_is_judged_by_those_that_took_turns(ratio: float, word: Word) -> None:
    several = {f"test{i}": launches(ratio) for i in range(4)}
    screened = dict.fromkeys([*several, SUITE], verdict())
    suite = confirmed_verdicts(screened, Confirmed(launches=several), {})[SUITE]
    assert suite.word == word
    assert "10.0% slower than the baseline" in suite.reason
    assert confirmed_verdicts({**screened, SUITE: verdict("unchanged")}, Confirmed(launches=several), {})[
        SUITE
    ] == verdict("unchanged")


def test_too_few_turns_leave_the_suite_as_it_was() -> None:
    for several in ({f"test{i}": launches(1.0, 1) for i in range(4)}, {"test0": launches(1.0)}):
        screened = dict.fromkeys([*several, SUITE], verdict())
        assert confirmed_verdicts(screened, Confirmed(launches=several), {})[SUITE] == verdict()


@pytest.mark.parametrize(
    ("said", "software", "word"),
    [
        ("regressed", (), "machine"),
        ("inconclusive", (), "machine"),
        ("unchanged", (), "unchanged"),
        ("regressed", ("torch 2.13.0 -> 2.15.0",), "environment"),
        ("inconclusive", ("torch 2.13.0 -> 2.15.0",), "inconclusive"),
    ],
)
def test_where_no_code_changed_the_machine_or_other_software_did_it(
    said: Word, software: tuple[str, ...], word: Word
) -> None:
    took = Confirmed(same_code={"test": "3f2a91c", "gone": "3f2a91c"}, software=software)
    found = confirmed_verdicts({"test": verdict(said), SUITE: verdict(said)}, took, {})
    assert [found["test"].word, found[SUITE].word] == [word, word]
    if word in {"machine", "environment"}:
        assert "no code changed since 3f2a91c" in found["test"].reason
        assert all(version in found["test"].reason for version in software)


def test_why_a_case_took_no_turns_is_said() -> None:
    took = Confirmed(not_in_turns={"old": "the baseline does not know its revision", "gone": "-"})
    found = confirmed_verdicts({"old": verdict()}, took, {})
    assert found["old"].word == "regressed"
    assert found["old"].reason.endswith("It took no turns: the baseline does not know its revision")
