"""The self-test: real sessions, real extra work, and what the gate says of them."""

from __future__ import annotations

import pytest

from pytest_gpuperf.cli import main
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.instrument import workloads
from pytest_gpuperf.records.certificate import wilson
from pytest_gpuperf.sessions.error_rates import selftest

SUITE = """
def work():
    for _ in range(20_000):
        pass

def test_loop(gpuperf):
    gpuperf(work)
"""
CPU = ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.5", "-p", "no:cacheprovider")


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
    assert found.detection_limit == 1.0


def test_fewer_rounds_than_a_confirmation_needs_are_refused(capsys):
    with pytest.raises(UsageError, match="at least 3 rounds"):
        selftest(2, CPU)
    assert main(["selftest", "--parts", "gate", "--rounds", "2"]) == 4
    assert "at least 3 rounds" in capsys.readouterr().err


def test_an_interval_of_a_share_holds_it():
    for hits in range(11):
        low, high = wilson(hits, 10)
        assert 0 <= low <= hits / 10 <= high <= 1


def test_the_built_in_workloads_are_run(monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--gpuperf-budget 0.2")
    arguments = ["-p", "no:cacheprovider", "--gpuperf-device", "cpu", workloads.__file__]
    found = selftest(3, arguments, slowdowns=(0.0,))
    assert [c.split("::")[1] for c in found.cases] == ["test_copy", "test_matrix_product", "test_small_calls"]
