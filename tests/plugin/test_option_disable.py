"""--gpuperf-disable: each workload runs once; nothing is measured, recorded or compared."""

from __future__ import annotations


def test_workloads_run_and_nothing_is_recorded_or_compared(story):
    story.suite("""
        calls = []

        def test_spin(gpuperf):
            m = gpuperf(lambda: calls.append(spin(0.2)), items=2)
            assert m.throughput > 0
            assert len(calls) == 1
    """)
    result = story.run("--gpuperf-disable", "--gpuperf-save", "run.json", "--gpuperf-compare", "absent.json")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gpuperf: *disabled: each workload runs once, nothing is measured"])
    assert not (story.path / "run.json").exists()
