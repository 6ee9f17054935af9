"""A baseline is reviewed text: the same content is the same text, and little is different where little changed."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec
from examples import a_baseline, a_run, a_session
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuperf.records.codec import decode_baseline, decode_run
from pytest_gpuperf.records.files import read_baseline, write_baseline
from pytest_gpuperf.records.model import (
    Accepted,
    Baseline,
    Case,
    Device,
    Environment,
    Measurement,
    Provenance,
    Rule,
    Run,
    Scope,
    Series,
    Session,
    Waiver,
)
from pytest_gpuperf.records.render import in_order, render_baseline, render_run, rounded
from pytest_gpuperf.records.units import METRICS

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
seconds = st.floats(1e-15, 1e6)
some_bytes = st.integers(0, 2**50)
counts = st.integers(1, 2**40)
maybe = st.none() | names
times = st.datetimes().map(lambda t: t.replace(microsecond=0).isoformat() + "Z")
devices = st.builds(
    Device,
    kind=st.sampled_from(["cuda", "cpu"]),
    name=names,
    memory=some_bytes,
    capability=maybe,
    mig=maybe,
    power_limit=st.none() | st.floats(1e-3, 1e4),
    cores=st.none() | st.integers(1, 1000),
)
environments = st.builds(Environment, device=devices, software=st.dictionaries(names, names, max_size=3))
sessions = st.lists(
    st.builds(
        Session,
        id=names,
        time=times,
        revision=maybe,
        card=maybe,
        canaries=st.dictionaries(names, st.lists(seconds, min_size=1, max_size=3).map(tuple), max_size=2),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda s: s.id,
).map(tuple)


@st.composite
def baselines(draw: st.DrawFn) -> Baseline:
    headers = draw(sessions)
    ids = st.lists(st.sampled_from([s.id for s in headers]), min_size=1, unique=True)

    def series() -> tuple[Series, ...]:
        return tuple(
            Series(
                session=i,
                count=draw(counts),
                medians=tuple(draw(st.lists(seconds, min_size=1, max_size=16))),
                peak_memory=draw(st.none() | some_bytes),
                energy=draw(st.none() | seconds),
            )
            for i in draw(ids)
        )

    waivers = st.none() | st.builds(Waiver, until=st.dates().map(str), reason=names)
    cases = tuple(
        Accepted(id=i, test=draw(names), items=draw(counts), clock=draw(names), series=series(), waiver=draw(waivers))
        for i in draw(st.lists(names, max_size=4, unique=True))
    )
    provenance: Provenance = draw(st.sampled_from(["measured", "published"]))
    return Baseline(
        provenance=provenance, source=draw(maybe), environment=draw(environments), sessions=headers, cases=cases
    )


@st.composite
def runs(draw: st.DrawFn) -> Run:
    headers = draw(sessions)
    blocks = st.lists(st.lists(seconds, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple)
    positive = st.floats(0, 1e3)
    fractions = st.floats(0, 1, exclude_max=True)

    def measurement(session: str) -> Measurement:
        return Measurement(
            session=session,
            items=draw(counts),
            clock=draw(names),
            blocks=draw(blocks),
            span_calls=draw(counts),
            ended=draw(st.sampled_from(["steady", "cap"])),
            interval=draw(positive),
            walls=tuple(draw(st.lists(seconds, max_size=3))),
            latencies=tuple(draw(st.lists(seconds, max_size=3))),
            first_call=draw(st.none() | seconds),
            warmup_seconds=draw(positive),
            memory_source=draw(maybe),
            energy=draw(st.none() | seconds),
            notes=tuple(draw(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=2))),
        )

    cases = tuple(
        Case(
            id=i,
            test=draw(names),
            line=draw(st.none() | st.integers(1, 2**31)),
            rule=Rule(
                tolerance=draw(st.dictionaries(st.sampled_from(sorted(METRICS)), fractions, max_size=2)),
                margin=draw(st.none() | fractions),
            ),
            measurements=tuple(measurement(s.id) for s in headers),
        )
        for i in draw(st.lists(names, max_size=3, unique=True))
    )
    scope = Scope(
        paths=tuple(draw(st.lists(names, max_size=2))), unmeasured=draw(st.dictionaries(names, names, max_size=2))
    )
    return Run(environment=draw(environments), sessions=headers, scope=scope, cases=cases)


def ordered(baseline: Baseline, digits: int) -> Baseline:
    """The same, sorted and rounded as a file has it."""
    tree = msgspec.json.decode(msgspec.json.encode(baseline))
    headers = in_order(baseline.sessions)
    rank = [s.id for s in headers]
    tree["sessions"] = [rounded(msgspec.to_builtins(s), digits) for s in headers]
    for case in tree["cases"]:
        case["series"] = sorted(rounded(case["series"], digits), key=lambda s: rank.index(s["session"]))
    tree["cases"].sort(key=lambda c: c["id"])
    return msgspec.convert(tree, Baseline)


@given(baselines())
def test_a_baseline_comes_back_sorted_and_rounded_and_then_stays(baseline: Baseline) -> None:
    text = render_baseline(baseline)
    again = decode_baseline(text)
    assert again == ordered(baseline, 6)
    assert render_baseline(again) == text


@given(runs())
def test_a_run_comes_back_rounded_and_then_stays(run: Run) -> None:
    text = render_run(run)
    again = decode_run(text)
    assert [c.id for c in again.cases] == [c.id for c in run.cases]
    assert again.sessions == tuple(
        msgspec.structs.replace(s, canaries={k: tuple(rounded(v, 9)) for k, v in s.canaries.items()})
        for s in run.sessions
    )
    assert (again.environment, again.scope) == (run.environment, run.scope)
    for old, new in zip(run.cases, again.cases, strict=True):
        assert (old.rule, old.line) == (new.rule, new.line)
        for a, b in zip(old.measurements, new.measurements, strict=True):
            assert b == msgspec.convert(rounded(msgspec.to_builtins(a), 9), Measurement)
    assert render_run(again) == text


@given(baselines(), st.randoms(use_true_random=False))
def test_order_in_memory_does_not_matter(baseline: Baseline, draw: object) -> None:
    cases, headers = list(baseline.cases), list(baseline.sessions)
    draw.shuffle(cases)  # type: ignore[attr-defined]
    draw.shuffle(headers)  # type: ignore[attr-defined]
    mixed = msgspec.structs.replace(baseline, cases=tuple(cases), sessions=tuple(headers))
    assert render_baseline(mixed) == render_baseline(baseline)


@given(st.floats(-1e300, 1e300), st.integers(1, 12))
def test_rounding_twice_changes_nothing(value: float, digits: int) -> None:
    once = rounded(value, digits)
    assert rounded(once, digits) == once
    assert abs(once - value) <= 10.0 ** -(digits - 1) * abs(value)


def test_one_more_session_is_one_more_line_in_each_place() -> None:
    before = render_baseline(a_baseline(0, 1)).decode().splitlines()
    after = render_baseline(a_baseline(0, 1, 2)).decode().splitlines()
    diff = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    added = [line for line in diff if line[0] == "+" and "s2" in line]
    commas = [line for line in diff if "s2" not in line]
    assert len(added) == 3  # the header, and a series in each of two cases
    assert all("s1" in line for line in commas)  # the line before has a comma now
    assert len(commas) == 2 * 3


def test_the_text_of_a_baseline(tmp_path: Path) -> None:
    path = tmp_path / "t4.json"
    session = msgspec.structs.replace(a_session(0), revision=None, canaries={"copy": (0.00123456789,), "busy": (1e-9,)})
    baseline = msgspec.structs.replace(
        a_baseline(0, cases=("ü",), level=1 / 3), source="https://e.org", sessions=(session,)
    )
    write_baseline(path, baseline)
    assert path.read_text(encoding="utf-8") == TEXT
    bare = msgspec.structs.replace(
        baseline, cases=(), sessions=(), environment=Environment(device=baseline.environment.device)
    )
    assert '"software": {}\n' in render_baseline(bare).decode()
    assert '"cases": []\n' in render_baseline(bare).decode()
    write_baseline(path, bare)
    assert read_baseline(path) == bare


TEXT = """\
{
  "format": "gpuperf-baseline",
  "version": 3,
  "provenance": "measured",
  "source": "https://e.org",
  "environment": {
    "device": {"kind": "cuda", "name": "Tesla T4", "memory": 16106127360, "capability": "7.5", "power_limit": 70.0},
    "software": {
      "driver": "595.71",
      "torch": "2.15.0"
    }
  },
  "sessions": [
    {"id": "s0", "time": "2026-01-01T02:00:00Z", "canaries": {"busy": [1e-9], "copy": [0.00123457]}}
  ],
  "cases": [
    {
      "id": "tests/test_x.py::test[ü]",
      "test": "tests/test_x.py::test[ü]",
      "items": 8,
      "clock": "cuda-event",
      "series": [
        {"session": "s0", "count": 32, "medians": [0.333333, 0.333667]}
      ]
    }
  ]
}
"""


def test_measurements_of_a_run_keep_nine_digits() -> None:
    measured = decode_run(render_run(a_run(0, level=1 / 3))).cases[0].measurements[0]
    assert measured.blocks[0][0] == 0.333333333
