"""What turns, or the code itself, make of the verdicts that a baseline gave."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuperf.comparison.confirmed import Confirmed, confirmed_verdicts
from pytest_gpuperf.comparison.findings import Confirmation
from pytest_gpuperf.gate.side_by_side import Launch
from pytest_gpuperf.gate.verdicts import SUITE
from pytest_gpuperf.records.model import Verdict, Word

RECORD = Confirmation(tests=1, seconds=1.0)


def verdict(word: Word = "regressed", ratio: float = 1.1) -> Verdict:
    return Verdict(word=word, ratio=ratio, low=ratio * 0.98, high=ratio * 1.02, reason="as the baseline has it")


def launches(ratio: float, count: int = 5) -> list[Launch]:
    rng = np.random.default_rng(0)

    def rounds(level: float) -> list[list[float]]:
        return [[float(x)] for x in level * np.exp(rng.normal(0, 0.002, 12))]

    return [Launch(rounds(1e-3), rounds(1e-3 * ratio)) for _ in range(count)]


def test_turns_decide_whatever_the_baseline_said() -> None:
    took = Confirmed(record=RECORD, launches={"same": launches(1.0), "slow": launches(1.05)})
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
    suite = confirmed_verdicts(screened, Confirmed(record=RECORD, launches=several), {})[SUITE]
    assert suite.word == word
    assert "10.0% slower than the baseline" in suite.reason
    assert confirmed_verdicts(
        {**screened, SUITE: verdict("unchanged")}, Confirmed(record=RECORD, launches=several), {}
    )[SUITE] == verdict("unchanged")


def test_too_few_turns_leave_the_suite_as_it_was() -> None:
    for several in ({f"test{i}": launches(1.0, 1) for i in range(4)}, {"test0": launches(1.0)}):
        screened = dict.fromkeys([*several, SUITE], verdict())
        assert confirmed_verdicts(screened, Confirmed(record=RECORD, launches=several), {})[SUITE] == verdict()


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
    took = Confirmed(record=RECORD, same_code={"test": "3f2a91c", "gone": "3f2a91c"}, software=software)
    found = confirmed_verdicts({"test": verdict(said), SUITE: verdict(said)}, took, {})
    assert [found["test"].word, found[SUITE].word] == [word, word]
    if word in {"machine", "environment"}:
        assert "no code changed since 3f2a91c" in found["test"].reason
        assert all(version in found["test"].reason for version in software)


def test_why_a_case_took_no_turns_is_said() -> None:
    took = Confirmed(record=RECORD, not_in_turns={"old": "the baseline does not know its revision", "gone": "-"})
    found = confirmed_verdicts({"old": verdict()}, took, {})
    assert found["old"].word == "regressed"
    assert found["old"].reason.endswith("It took no turns: the baseline does not know its revision")
