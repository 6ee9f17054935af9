"""A project that merely has the plugin installed notices nothing; pytest-xdist is refused where it would lie."""

from __future__ import annotations

import pytest

HEAVY = ("torch", "numpy", "scipy", "msgspec", "pynvml")


def test_loading_the_plugin_loads_nothing_heavy(pytester):
    pytester.makepyfile(f"""
        import sys

        def test_plain():
            loaded = {set(HEAVY)!r} & set(sys.modules)
            assert not loaded, loaded
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "gpuperf" not in result.stdout.str().replace("plugins:", "").split("rootdir")[0]


def test_a_session_that_only_records_does_not_load_what_judges(story):
    story.suite("""
        def test_spin(gpuperf):
            gpuperf(spin, 0.1)
    """)
    story.pytester.makepyfile(
        told="""
        import sys

        def pytest_unconfigure():
            print("loaded:", sorted({"torch", "scipy", "matplotlib"} & set(sys.modules)))
        """
    )
    arguments = ("-p", "told", "--gpuperf-device", "cpu", "--gpuperf-save", "run.json", "--gpuperf-markdown", "run.md")
    result = story.pytester.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["loaded: []"])


def test_a_plain_suite_shows_no_trace_of_it(pytester):
    pytester.makepyfile("def test_plain(): pass")
    result = pytester.runpytest_inprocess("-q", "--no-header")
    assert "gpuperf" not in result.stdout.str()


def test_everybody_elses_gpu_marker_is_left_alone(pytester):
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    pytester.makepyfile("""
        import sys
        import pytest

        @pytest.fixture
        def gpu():
            return "a fixture of this project's"

        @pytest.mark.gpu
        def test_plain():
            assert "torch" not in sys.modules

        @pytest.mark.gpu(2, memory="4 GB")
        def test_with_arguments(gpu):
            assert gpu.startswith("a fixture")
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_under_xdist_only_the_test_that_measures_fails(story):
    pytest.importorskip("xdist")
    story.suite("""
        def test_spin(gpuperf):
            gpuperf(spin, 0.2)

        def test_plain():
            pass
    """)
    result = story.pytester.runpytest_subprocess("--gpuperf-device", "cpu", "-n", "2")
    result.stdout.fnmatch_lines(["*does not measure under pytest-xdist*"])
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 1
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1


def test_the_options_are_listed_with_their_help(pytester):
    result = pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(["*--gpuperf-device*NAME*", "*--gpuperf-compare*FILE*"])


def test_the_markers_are_registered(pytester):
    result = pytester.runpytest_inprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.gpu(*", "@pytest.mark.gpuperf(*"])
