"""Two revisions that cannot be loaded at once are measured one process after the other, and it is said."""

from __future__ import annotations

from revisions_of import words

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
    from pytest_gpuperf.device import choice

    held = open(os.environ["DEVICE"], "w")
    choose = choice.choose_device

    def of_an_exclusive_card(request):
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit("all CUDA-capable devices are busy or unavailable", returncode=1)
        return choose(request)

    choice.choose_device = of_an_exclusive_card
    choice.Sensors.one_process = True
"""


def test_a_card_that_serves_one_process_at_a_time_has_the_sides_run_apart(project, compared, tmp_path, monkeypatch):
    monkeypatch.setenv("DEVICE", str(tmp_path / "device"))
    project.write("conftest.py", EXCLUSIVE)
    project.two_commits()
    judged = compared()
    assert words(judged).keys() == {"test_spin"}
    assert set(judged.comparison.sides.apart.values()) == {"the card serves one process at a time"}
