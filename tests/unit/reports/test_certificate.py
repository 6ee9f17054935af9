"""A certificate as Markdown, as JSON, and as a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import unescape

import msgspec
import pytest

from pytest_gpuperf.records.certificate import Certificate, LeftOut, Level, Selftest, impossible, judged, rows_of_gate
from pytest_gpuperf.records.model import Device, Environment
from pytest_gpuperf.reports.certificate_report import FORMATS, LIMITS, summary


def level(slowdown: float, regressed: int) -> Level:
    return Level(
        slowdown=slowdown,
        comparisons=10,
        verdicts={"regressed": regressed, "unchanged": 10 - regressed},
        suites=5,
        failed_suites=min(regressed, 5),
    )


GATE = Selftest(
    environment=Environment(device=Device(kind="cpu", name="Laptop", memory=1, cores=2), software={"torch": "2.15"}),
    cases=("t::a", "t::b"),
    baseline_sessions=5,
    rounds=5,
    seconds=600,
    levels=(level(0.0, 0), level(0.01, 2), level(0.05, 9), level(0.1, 10)),
)


FOUND = Certificate(
    gpuperf="0.1",
    environment=GATE.environment,
    card="0123456789ab",
    created=datetime(2026, 11, 27, 12, 30, tzinfo=UTC),
    seconds=75.4,
    rows=(
        judged("timing", "a | loop", "56 us", "<= 1%", holds=True),
        judged("memory", "a leak", "none", "is found", holds=False),
        impossible("power", "the counter", "no <counter>"),
        *rows_of_gate(GATE),
    ),
    left_out=(LeftOut("power", "equal windows", 22.0),),
    gate=GATE,
)


def test_a_table_a_part_and_what_it_comes_to():
    text = FORMATS["markdown"](FOUND)
    assert "### gpuperf selftest: Laptop" in text
    assert "3 of 5 rows hold, 1 fails, 1 is not possible here. Failed: memory: a leak." in text
    assert "| a \\| loop | 56 us | <= 1% | holds |" in text
    assert "| a leak | none | is found | **fails** |" in text
    assert "Left out for want of time: power, equal windows (about 22 s)." in text
    assert "2026-11-27 12:30 UTC, 75 s. Versions: torch 2.15." in text


def test_the_gate_s_part_says_what_was_found_and_what_it_cannot_say():
    text = FORMATS["markdown"](FOUND)
    assert "| none | 0 of 10 | 0.0% to 27.8% | 0% | 100% | 0% | 0 of 5 |" in text
    assert "Smallest slow-down found in at least 80% of its comparisons: 5%." in text
    assert "within the same hour" in text


def test_a_gate_that_sees_nothing_or_cries_wolf_fails_its_rows():
    assert [row.word for row in rows_of_gate(GATE)] == ["holds", "holds"]
    blind = msgspec.structs.replace(GATE, levels=(level(0.0, 4), level(0.1, 1)))
    assert blind.detection_limit is None
    first, second = rows_of_gate(blind)
    assert (first.word, first.figure) == ("fails", "4 of 10 (16.8% to 68.7%)")
    assert (second.word, second.figure) == ("fails", "none of those injected")
    assert "none of those injected." in FORMATS["markdown"](msgspec.structs.replace(FOUND, gate=blind))


def test_programs_read_json():
    found = json.loads(FORMATS["json"](FOUND))
    assert found["gate"]["levels"][1]["verdicts"]["regressed"] == 2
    assert found["rows"][1] == msgspec.to_builtins(FOUND.rows[1])


@pytest.mark.parametrize("gate", [GATE, None])
def test_a_page_escapes_what_was_found_and_needs_no_script(gate):
    page = FORMATS["html"](msgspec.structs.replace(FOUND, gate=gate))
    assert "no &lt;counter&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'; style-src 'sha256-" in unescape(page)
    assert ("2 of 10" in page) == (gate is not None)
    assert ("5.7% to 51.0%" in page) == (gate is not None)
    assert (LIMITS.replace("*", "") in unescape(page)) == (gate is not None)


def test_what_holds_is_said_shortly():
    whole = msgspec.structs.replace(FOUND, rows=FOUND.rows[:1], left_out=(), gate=None)
    assert summary(whole) == "1 of 1 row holds."
    assert "Left out" not in FORMATS["markdown"](whole)


def test_versions_that_the_instrument_rests_on():
    assert FOUND.changed_since({"torch": "2.15", "timm": "1"}) == ()
    assert FOUND.changed_since({"torch": "2.16", "driver": "590"}) == ("driver none -> 590", "torch 2.15 -> 2.16")
