"""Two revisions measured in turns by real processes, on small repositories."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from revisions_of import ON_CPU, SPIN, wild

from pytest_gpuperf.errors import SessionError, UsageError
from pytest_gpuperf.revisions.conductor import Comparing, compare_revisions
from pytest_gpuperf.revisions.side import Preparation


@pytest.fixture
def compared(project, temporary):
    """Compare the branch `base` with HEAD; nothing is left behind, and the repository is as before."""

    def compare(*arguments, said=None, **asked):
        how = Preparation(
            arguments=(*ON_CPU, *arguments), **{k: asked.pop(k) for k in ("setup", "tests", "sources") if k in asked}
        )
        before = project.fingerprint()
        comparing = Comparing(base="base", preparation=how, folder=project.root, **asked)
        if said is not None:
            comparing = replace(comparing, progress=said.append)
        try:
            return compare_revisions(comparing)
        finally:
            assert project.fingerprint() == before
            assert list(temporary.iterdir()) == []

    return compare


def words(judged):
    return {f.case.partition("::")[2]: f.verdict.word for f in judged.comparison.findings}


# Every call notes which side made it, and when it began and ended.
NOTING = """
    import os
    from pathlib import Path
    from time import perf_counter
    import work

    def test_spin(gpuperf):
        side = Path(work.__file__).parents[1].name
        with open(os.environ["CALLS"], "a", buffering=1) as calls:
            def noted():
                start = perf_counter()
                work.spin()
                calls.write(f"{start} {perf_counter()} {side}\\n")
            gpuperf(noted)
"""


def test_turns_are_strict_and_their_order_is_flipped(project, compared, tmp_path, monkeypatch):
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    project.two_commits(suite=NOTING)
    judged = compared("--gpuperf-budget", "5")
    assert judged.comparison.findings[0].verdict.word in {"unchanged", "inconclusive"}
    calls = [(float(a), float(b), side) for a, b, side in map(str.split, (tmp_path / "calls").read_text().splitlines())]
    calls.sort()
    assert all(end <= start for (_, end, _), (start, _, _) in pairwise(calls))  # never at once
    turns = [side for side, _ in groupby(side for *_, side in calls)]
    assert turns[:4] == ["base", "head", "base", "head"]
    rounds = [len(m.blocks) for c in judged.run.cases for m in c.measurements]
    assert set(rounds) == {12}
    # base head | head base | base head: two neighbours of one side are one stretch. A last look may add a few.
    assert len(turns) <= sum(count + 3 for count in rounds)


def test_a_slower_head_is_found_and_both_revisions_are_named(project, compared):
    project.two_commits(1.0, 1.2)
    said = []
    judged = compared(said=said)
    assert words(judged) == {"test_spin": "regressed"}
    assert judged.exit_code == 1
    sides = judged.comparison.sides
    base, head = (project.git("rev-parse", name)[:10] for name in ("base", "HEAD"))
    assert (sides.base, sides.head, sides.launches) == (f"base ({base})", f"HEAD ({head})", 5)
    assert sides.imported == (
        f"base: base ({base}) imported 1 of its own files: work/__init__.py",
        f"head: HEAD ({head}) imported 1 of its own files: work/__init__.py",
        "of 1 imported files 1 differ: work/__init__.py",
    )
    assert [s for s in said if not s.startswith("launch")] == list(sides.imported)
    (finding,) = judged.comparison.findings
    assert finding.baseline == pytest.approx(1000, rel=0.1)
    assert (finding.baseline_sessions, finding.current_sessions) == (5, 5)
    assert len({s.id for s in judged.run.sessions}) == 5


def test_uncommitted_work_in_a_src_layout_with_a_conftest_beside_it(project, compared):
    project.commit(
        "one",
        {
            "conftest.py": "",
            "src/work/__init__.py": SPIN.format(milliseconds=1),
            "tests/__init__.py": "",
            "tests/shapes.py": "import work\n",
            "tests/test_perf.py": "from tests.shapes import work\n\ndef test_spin(gpuperf):\n    gpuperf(work.spin)\n",
        },
    )
    project.git("branch", "base")
    project.write("src/work/__init__.py", "from work.spinning import spin\n")
    project.write("src/work/spinning.py", SPIN.format(milliseconds=1))  # new, and git knows nothing of it
    judged = compared("-m", "not slow", "tests")
    assert judged.comparison.sides.head.endswith("+dirty)")
    assert judged.comparison.sides.imported[-1] == (
        "of 2 imported files 2 differ: src/work/__init__.py, src/work/spinning.py"
    )
    assert words(judged).keys() == {"test_spin"}


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


# What both sides cannot hold at once: who comes second has no memory left.
SCARCE = """
    import fcntl, os
    import pytest
    import work

    @pytest.fixture
    def memory():
        with open(os.environ["DEVICE"], "w") as device:
            try:
                fcntl.flock(device, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MemoryError("no room for a second model") from None
            yield

    def test_large(gpuperf, memory):
        gpuperf(work.spin)

    def test_small(gpuperf):
        gpuperf(work.spin)
"""


def test_sides_that_do_not_fit_into_memory_together_run_apart_and_it_is_said(project, compared, tmp_path, monkeypatch):
    monkeypatch.setenv("DEVICE", str(tmp_path / "device"))
    project.two_commits(suite=SCARCE)
    judged = compared()
    assert words(judged).keys() == {"test_large", "test_small"}
    (test, why), = judged.comparison.sides.apart.items()  # fmt: skip
    assert test == "tests/test_perf.py::test_large"
    assert why in {"head ran out of memory beside base", "base ran out of memory beside head"}
    assert any(
        r.startswith("sides ran apart: tests/test_perf.py::test_large (") for r in judged.comparison.sides.remarks
    )


def test_apart_on_request_and_out_of_memory_alone_is_a_failure(project, compared):
    project.two_commits(suite="""
        import work

        def test_spin(gpuperf):
            gpuperf(work.spin)

        def test_too_large(gpuperf):
            raise MemoryError("not even alone")
    """)  # fmt: skip
    judged = compared(apart=True)
    assert words(judged).keys() == {"test_spin"}
    assert set(judged.comparison.sides.apart.values()) == {"asked for: --apart"}
    assert judged.comparison.sides.failed == {
        "tests/test_perf.py::test_too_large": "head: failed in call: MemoryError: not even alone"
    }


EXCLUSIVE = """
    import fcntl, os
    from dataclasses import replace
    import pytest
    from pytest_gpuperf.device import choice, sensors

    held = open(os.environ["DEVICE"], "w")
    choose = choice.choose_device

    def of_an_exclusive_card(request):
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit("all CUDA-capable devices are busy or unavailable", returncode=1)
        return choose(request)

    choice.choose_device = of_an_exclusive_card
    sensors.Sensors.one_process = True
"""


def test_a_card_that_serves_one_process_at_a_time_has_the_sides_run_apart(project, compared, tmp_path, monkeypatch):
    monkeypatch.setenv("DEVICE", str(tmp_path / "device"))
    project.write("conftest.py", EXCLUSIVE)
    project.two_commits()
    judged = compared()
    assert words(judged).keys() == {"test_spin"}
    assert set(judged.comparison.sides.apart.values()) == {"the card serves one process at a time"}


def test_each_sides_own_tests(project, compared):
    project.two_commits()
    project.git("checkout", "-q", "base")
    old = "import work\n\ndef test_old(gpuperf):\n    gpuperf(work.spin)\n"
    project.commit("base's own", {"tests/test_old.py": old})
    project.git("checkout", "-q", "main")
    judged = compared(tests="each")
    assert judged.comparison.vanished == ("tests/test_old.py::test_old",)
    assert words(judged).keys() == {"test_spin"}


def test_both_sides_of_a_launch_hash_alike_and_the_next_launch_otherwise(project, compared, monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    said = project.root.parent / "said"
    project.two_commits(suite=f"""
        from pathlib import Path
        import work

        def test_spin(gpuperf):
            with Path({str(said)!r}).open("a") as file:
                file.write(f"{{hash('gpu')}} ")
            gpuperf(work.spin)
    """)  # fmt: skip
    launches = compared().comparison.sides.launches
    hashes = said.read_text().split()
    assert len(hashes) == 2 * launches >= 4
    assert hashes[::2] == hashes[1::2]
    assert len(set(hashes)) == launches


def test_a_budget_lets_open_cases_have_more_launches(project, compared):
    project.two_commits(suite=wild(project))
    judged = compared(budget=25.0)
    assert judged.comparison.sides.launches > 5 or judged.comparison.sides.seconds > 20


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda p: p.two_commits(note="one"), None),
        (lambda p: (p.two_commits(), p.git("reset", "-q", "--hard", "base")), "are the same on both sides"),
        (
            lambda p: p.two_commits(suite="def test_x(gpuperf): gpuperf(sum, range(999))\n"),
            "the tests import nothing of either revision's files",
        ),
        (
            lambda p: (p.write("conftest.py", f"import sys\nsys.path.insert(0, {str(p.root)!r})\n"), p.two_commits()),
            "base .* imported work from .*project/work/__init__.py, and not from its own files.*--setup",
        ),
    ],
    ids=["a comment", "the same commit", "nothing of its own", "somewhere else"],
)
def test_measuring_one_code_twice_is_refused(project, compared, prepare, said):
    prepare(project)
    if said is None:
        assert compared().exit_code in {0, 7}
        return
    with pytest.raises(UsageError, match=said):
        compared()


def test_the_same_code_may_be_measured_twice_where_that_is_meant(project, compared):
    project.two_commits()
    project.git("reset", "-q", "--hard", "base")
    judged = compared(allow_same=True)
    assert words(judged).keys() == {"test_spin"}
    assert judged.comparison.sides.imported[-1] == "both sides measured the same code (--allow-same)"


def test_files_that_are_no_python_may_make_the_difference(project, compared):
    project.write("work/kernel.cu", "one")
    project.two_commits()
    project.git("checkout", "-q", "base", "--", "work/__init__.py")
    project.write("work/kernel.cu", "two")
    judged = compared()
    assert judged.comparison.sides.imported[-1] == "the imported files are the same; other files differ: work/kernel.cu"


# Without pip, which takes its time: what it would do is done by hand.
OWN_ENVIRONMENT = "python -m venv --without-pip .venv && cp -r work .venv/lib/python3*/site-packages/ && rm -r work"


def test_each_side_may_have_an_environment_of_its_own_and_is_lent_the_plugin(project, compared):
    project.two_commits()
    judged = compared("--import-mode=importlib", setup=OWN_ENVIRONMENT)
    assert words(judged).keys() == {"test_spin"}
    assert "site-packages/work/__init__.py" in judged.comparison.sides.imported[-1]


BROKEN_INTERPRETER = "mkdir -p .venv/bin; echo '#!/bin/false' > .venv/bin/python; chmod +x .venv/bin/python"
ANOTHER_PLUGIN = (
    "python -m venv --without-pip .venv && "
    f"cp -r {Path(__file__).parents[3]}/pytest_gpuperf .venv/lib/python3*/site-packages/"
)


@pytest.mark.parametrize(
    ("setup", "kind", "said"),
    [
        ("echo building $GPUPERF_SIDE; false", SessionError, r"exit code 1 for base .*(?s:.*)building base"),
        (BROKEN_INTERPRETER, SessionError, "does not run"),
        (ANOTHER_PLUGIN, UsageError, "measures with another pytest-gpuperf"),
    ],
    ids=["fails", "makes a broken interpreter", "installs another plugin"],
)
def test_a_setup_that_does_not_do(project, compared, setup, kind, said):
    project.two_commits()
    with pytest.raises(kind, match=said):
        compared(setup=setup)


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (("-n", "2"), UsageError, "pytest-xdist would run tests at once"),
        (("--no-such-option",), UsageError, "unrecognized arguments: --no-such-option"),
        (("-p", "no:gpuperf"), UsageError, "unrecognized arguments: --gpuperf-device"),
    ],
)
def test_what_pytest_refuses_is_told(project, compared, arguments, kind, said):
    project.two_commits()
    with pytest.raises(kind, match=said):
        compared(*arguments)


def test_a_process_that_dies_before_its_tests_are_known_ends_the_comparison(project, compared):
    project.write("conftest.py", "import os\nos.abort()\n")
    project.two_commits()
    with pytest.raises(SessionError, match="was ended by SIGABRT before it had collected"):
        compared()


def test_no_tests_is_nothing_compared(project, compared):
    project.two_commits()
    assert compared("-k", "nothing").exit_code == 6


def test_places_in_the_users_folder_mean_the_sides_own(project, compared, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project.root / "more"), "/nowhere"]))
    project.write("more/extra.py", "VALUE = 1\n")
    project.two_commits(suite="import extra, work\n\ndef test_spin(gpuperf):\n    gpuperf(work.spin)\n")
    judged = compared(str(project.root / "tests"), f"--rootdir={project.root}")
    assert words(judged).keys() == {"test_spin"}
    assert "more/extra.py" in judged.comparison.sides.imported[0]


def test_another_folder_of_sources(project, compared):
    project.two_commits()
    project.git("mv", "work", "python_work")
    (project.root / "python").mkdir()
    project.git("mv", "python_work", "python/work")
    project.commit("moved")
    project.git("branch", "-f", "base")
    project.write("python/work/__init__.py", SPIN.format(milliseconds=1) + "# changed\n")
    judged = compared(sources=("python",))
    assert judged.comparison.sides.imported[-1] == "of 1 imported files 1 differ: python/work/__init__.py"
    with pytest.raises(UsageError, match="--source elsewhere: neither revision has such a folder"):
        compared(sources=("elsewhere",))


def test_a_folder_that_only_one_revision_has_cannot_be_started_in(project, temporary):
    project.two_commits()
    project.write("later/notes.txt", "")
    with pytest.raises(UsageError, match="has no folder later"):
        compare_revisions(Comparing(base="base", folder=project.root / "later"))


def test_this_plugin_cannot_be_measured_by_itself(project, compared):
    project.write("pytest_gpuperf/__init__.py", "")
    project.two_commits()
    with pytest.raises(UsageError, match="holds pytest_gpuperf itself"):
        compared()
