"""Two revisions measured in turns by real processes, on small repositories."""

from __future__ import annotations

from itertools import groupby, pairwise

import pytest
from revisions_of import SPIN, wild, words

from pytest_gpuperf.errors import UsageError

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


# Every process notes which family it is of.
FAMILY = """
    import os
    import work

    def test_one(gpuperf):
        with open(os.environ["FAMILIES"], "a") as families:
            families.write(os.environ["GPUPERF_FAMILY"] + "\\n")
        gpuperf(work.spin)
"""


def test_both_sides_are_of_one_family(project, compared, tmp_path, monkeypatch):
    monkeypatch.setenv("FAMILIES", str(tmp_path / "families"))
    monkeypatch.setenv("GPUPERF_FAMILY", "")  # so that it is unset again afterwards
    monkeypatch.delenv("GPUPERF_FAMILY")
    project.two_commits(suite=FAMILY)
    compared()
    families = (tmp_path / "families").read_text().splitlines()
    assert len(families) >= 4
    assert len(set(families)) == 1


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


def test_each_sides_own_tests(project, compared):
    project.two_commits()
    project.git("checkout", "-q", "base")
    old = "import work\n\ndef test_old(gpuperf):\n    gpuperf(work.spin)\n"
    project.commit("base's own", {"tests/test_old.py": old})
    project.git("checkout", "-q", "main")
    judged = compared(tests="each")
    assert judged.comparison.vanished == ("tests/test_old.py::test_old",)
    assert words(judged).keys() == {"test_spin"}


IN_THE_TEST = "def test_spin(gpuperf):\n    gpuperf(spin)\n"


def test_what_the_tests_themselves_hold_is_measured_by_each_sides_own(project, compared):
    for branch, milliseconds in (("base", 1), ("main", 1.3)):
        project.commit(branch, {"test_perf.py": SPIN.format(milliseconds=milliseconds) + IN_THE_TEST})
        project.git("branch", "-f", "base") if branch == "base" else None
    with pytest.raises(UsageError, match="Where the tests themselves hold what is measured: --tests each"):
        compared()
    judged = compared(tests="each", limit=60.0)
    assert words(judged) == {"test_spin": "regressed"}
    assert judged.comparison.sides.imported[-1] == "of 1 imported files 1 differ: test_perf.py"
    assert judged.comparison.sides.options == ("--tests", "each", "--limit", "60")


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
