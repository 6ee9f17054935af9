"""What goes wrong on one side of a comparison is told with its reason, and the other tests are judged."""

from __future__ import annotations

from revisions_of import words

MISHAPS = """
    import os, time
    from pathlib import Path
    import pytest
    import work

    SIDE = Path(work.__file__).parents[1].name

    def test_fails_on_base(gpuperf):
        assert SIDE == "head"
        gpuperf(work.spin)

    def test_fails_on_head(gpuperf):
        gpuperf(work.spin)
        assert SIDE == "base", "broken by the change"

    def test_skips_on_head(gpuperf):
        if SIDE == "head":
            pytest.skip("no more")
        gpuperf(work.spin)

    def test_skips_everywhere(gpuperf):
        pytest.skip("never")

    def test_measures_nothing(gpuperf):
        pass

    @pytest.mark.parametrize("n", range(2 if SIDE == "base" else 1))
    def test_fewer(gpuperf, n):
        gpuperf(work.spin)

    def test_one_measurement_more(gpuperf):
        if SIDE == "head":
            assert gpuperf(work.spin, name="new").items == 1
        gpuperf(work.spin, name="both")

    def test_dies_on_head(gpuperf):
        gpuperf(lambda: os.kill(os.getpid(), 9) if SIDE == "head" else work.spin())

    def test_ends_on_base(gpuperf):
        if SIDE == "base":
            os._exit(7)
        gpuperf(work.spin)

    def test_hangs_on_base(gpuperf):
        gpuperf(lambda: time.sleep(300) if SIDE == "base" else work.spin())

    def test_measures_a_failure(gpuperf):
        with pytest.raises(Exception, match="raised ZeroDivisionError"):
            gpuperf(lambda: 1 / 0)

    def test_calm(gpuperf):
        gpuperf(work.spin)
"""


def test_what_goes_wrong_on_one_side_is_told_and_the_others_are_judged(project, compared):
    project.two_commits(suite=MISHAPS)
    project.write("tests/test_broken.py", "import work.nowhere\n")
    judged = compared(limit=12.0)
    assert words(judged).keys() == {"test_calm", "test_fewer[0]", "test_one_measurement_more#both"}
    comparison, sides = judged.comparison, judged.comparison.sides
    tests = "tests/test_perf.py::"
    assert comparison.new == (f"{tests}test_one_measurement_more#new",)
    assert comparison.vanished == (f"{tests}test_fewer[1]", f"{tests}test_skips_on_head")
    told = {name: {t.removeprefix(tests): why for t, why in getattr(sides, name).items()}
            for name in ("failed", "skipped", "one_sided")}  # fmt: skip
    assert told == {
        "failed": {
            "tests/test_broken.py": "head: not collected: E   ModuleNotFoundError: No module named 'work.nowhere'",
            "test_fails_on_head": "head: failed in call: AssertionError: broken by the change",
            "test_dies_on_head": "head: was ended by SIGKILL; where the kernel ran out of memory, let the sides run "
            "apart: --apart",
        },
        "skipped": {"test_skips_on_head": "head: skipped: no more", "test_skips_everywhere": "head: skipped: never"},
        "one_sided": {
            "test_fails_on_base": "base: failed in call: AssertionError: assert 'base' == 'head'",
            "test_ends_on_base": "base: ended with exit code 7",
            "test_hangs_on_base": "base: said nothing for 12 s and was stopped",
            "test_measures_nothing": "nothing was measured on both sides",
            "test_measures_a_failure": "nothing was measured on both sides",
        },
    }
    assert judged.exit_code == 1
    assert judged.problems[0].startswith("3 tests failed on HEAD (")
    assert any(p.startswith("2 cases of base (") and p.endswith("allow it: --allow-missing") for p in judged.problems)
