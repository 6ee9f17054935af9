"""The self-test: real sessions, real extra work, and what the gate says of them."""

from __future__ import annotations

import json

import pytest

from pytest_gpuperf.analysis.error_rates import Level, Selftest, wilson
from pytest_gpuperf.cli import main
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.reports.selftest import render_json, render_markdown
from pytest_gpuperf.results.records import Device, Environment
from pytest_gpuperf.sessions.selftest import selftest

SUITE = """
def work():
    for _ in range(20_000):
        pass

def test_loop(gpuperf):
    gpuperf(work)
"""
CPU = ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.5", "-p", "no:cacheprovider")


def level(slowdown: float, regressed: int) -> Level:
    return Level(
        slowdown=slowdown,
        comparisons=10,
        verdicts={"regressed": regressed, "unchanged": 10 - regressed},
        suites=5,
        failed_suites=min(regressed, 5),
    )


FOUND = Selftest(
    environment=Environment(device=Device(kind="cpu", name="Laptop", memory=1, cores=2), software={"torch": "2.15"}),
    cases=("t::a", "t::b"),
    baseline_sessions=5,
    rounds=5,
    seconds=600,
    levels=(level(0.0, 0), level(0.01, 2), level(0.05, 9), level(0.1, 10)),
)


def test_a_gross_slow_down_is_found_and_the_suite_itself_is_not(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    seen = []
    found = selftest(
        3, CPU, slowdowns=(0.0, 1.0), directory=tmp_path, progress=lambda done, wanted, _: seen.append((done, wanted))
    )
    assert seen[-1] == (11, 11)
    assert found.cases == ("test_suite.py::test_loop",)
    itself, doubled = found.levels
    assert doubled.verdicts == {"regressed": 3}
    assert doubled.failed_suites == 3
    assert itself.verdicts.get("regressed", 0) == 0
    assert found.smallest_seen == 1.0


def test_fewer_rounds_than_a_confirmation_needs_are_refused(capsys):
    with pytest.raises(UsageError, match="at least 3 rounds"):
        selftest(2, CPU)
    assert main(["selftest", "--rounds", "2"]) == 4
    assert "at least 3 rounds" in capsys.readouterr().err


def test_the_report_says_what_was_found_and_what_it_cannot_say():
    text = render_markdown(FOUND)
    assert "### gpuperf selftest: Laptop" in text
    assert "| none | 0 of 10 | 0.0% to 27.8% | 0% | 100% | 0% | 0 of 5 |" in text
    assert "Smallest slow-down found in at least 80% of its comparisons: 5%." in text
    assert "within the same hour" in text
    assert "torch 2.15" in text


def test_nothing_found_is_said_too():
    blind = Selftest(
        environment=FOUND.environment,
        cases=FOUND.cases,
        baseline_sessions=5,
        rounds=5,
        seconds=1,
        levels=(level(0.0, 0), level(0.1, 1)),
    )
    assert blind.smallest_seen is None
    assert "none of those injected" in render_markdown(blind)


def test_programs_read_json():
    assert json.loads(render_json(FOUND))["levels"][1]["verdicts"]["regressed"] == 2


def test_an_interval_of_a_share_holds_it():
    for hits in range(11):
        low, high = wilson(hits, 10)
        assert 0 <= low <= hits / 10 <= high <= 1


def test_the_command_runs_the_built_in_workloads(capsys, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--gpuperf-budget 0.2")
    monkeypatch.setattr("pytest_gpuperf.sessions.selftest.SLOWDOWNS", (0.0,))
    monkeypatch.setattr(selftest, "__kwdefaults__", selftest.__kwdefaults__ | {"slowdowns": (0.0,)})
    assert main(["selftest", "--rounds", "3", "--device", "cpu", "--format", "json"]) == 0
    printed = capsys.readouterr()
    cases = json.loads(printed.out)["cases"]
    assert [c.split("::")[1] for c in cases] == ["test_copy", "test_matrix_product", "test_small_calls"]
    assert "session 8 of 8" in printed.err
