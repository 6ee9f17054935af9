"""What compiling took, as `gpuperf show`, the page and the CSV have it."""

from __future__ import annotations

import csv
import io

import msgspec
from examples import ENVIRONMENT, a_measurement, a_session

from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.model import Case, Run
from pytest_gpuperf.reports.compile_facts import compile_facts, compile_lines
from pytest_gpuperf.reports.csv_report import render_columns
from pytest_gpuperf.reports.show import run_contents

COST = CompileCost(
    ready_in=6.0,
    in_compiler=5.5,
    graphs=2,
    graph_breaks={"Call to print": 1},
    recompiles=3,
    recompiled_for={"x grew": 3},
    gave_up={"too many": 1},
    cache_misses=2,
)
PLAIN = CompileCost(ready_in=6.0, in_compiler=0.0, graphs=1)


def a_case(backend: str, level: float, cost: CompileCost | None = None, batch: str = "8", **changes: object) -> Case:
    name = f"tests/test_x.py::test_model[{backend}-{batch}]"
    parameters = {"backend": backend, "batch": batch}
    measured = a_measurement(0, level=level, compile_cost=cost, **changes)
    return Case(id=name, test=name, parameters=parameters, measurements=(measured,))


def a_run(*cases: Case) -> Run:
    return Run(environment=ENVIRONMENT, sessions=(a_session(0),), cases=cases)


def test_every_fact():
    assert dict(compile_facts(COST)) == {
        "ready to run in": "6.00 s, cache cold",
        "of that in the compiler": "5.50 s",
        "compiled as": "2 graphs, 1 break (Call to print)",
        "compiled again": "3 times (x grew)",
        "runs eagerly in part": "too many",
    }
    assert dict(compile_facts(PLAIN)) == {"ready to run in": "6.00 s", "compiled as": "1 graph"}
    assert list(compile_facts(None)) == []
    unexplained = msgspec.structs.replace(PLAIN, recompiles=1)
    assert dict(compile_facts(unexplained))["compiled again"] == "1 time"


def test_after_how_many_calls_it_has_paid_beside_the_eager_case_of_the_same_parameters():
    eager, faster, slower = a_case("eager", 0.010), a_case("compile", 0.004, COST), a_case("compile-x", 0.02, PLAIN)
    barely = a_case("compile-y", 0.0099, PLAIN)
    other = a_case("compile", 0.004, PLAIN, batch="32")
    lines = list(compile_lines((eager, faster, slower, other, barely)))
    assert [line.split(": ")[1] for line in lines] == [faster.id, slower.id, other.id, barely.id]
    assert "; pays after about 998 calls: a call takes 4.01 ms" in lines[0]
    assert lines[0].endswith("eager 10.0 ms")
    assert "; never pays: a call takes 20." in lines[1]
    assert "pays" not in lines[2]
    assert "; pays after about 59,900 calls" in lines[3]


def test_the_wall_clock_decides_where_a_device_has_its_own():
    eager = a_case("eager", 0.010, walls=(0.012,))
    (line,) = compile_lines((eager, a_case("compile", 0.009, PLAIN, walls=(0.013,))))
    assert "never pays" in line


def test_what_is_no_faster_and_no_slower_than_its_noise_is_not_known_to_pay():
    eager = a_case("eager", 0.010, interval=0.01)
    (line,) = compile_lines((eager, a_case("compile", 0.0099, PLAIN, interval=0.01)))
    assert "; whether it pays is not known, the two are too close: a call takes 9.92 ms, eager 10.0 ms" in line


def test_show_and_the_csv():
    run = a_run(a_case("eager", 0.010), a_case("compile", 0.004, COST))
    assert "compiled: tests/test_x.py::test_model[compile-8]: ready to run in 6.00 s" in run_contents("r", run, 200)
    compiled, eager = csv.DictReader(io.StringIO(render_columns(run, None)))
    columns = ("compile_s", "compile_cache", "graph_breaks", "recompiles")
    assert [eager[name] for name in columns] == ["", "", "", ""]
    assert [compiled[name] for name in columns] == ["6", "cold", "1", "3"]
