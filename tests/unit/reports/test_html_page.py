"""The report as a page: what it is given, what stands above everything, and that it is nothing but text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser

import msgspec
import pytest
from examples import a_baseline, a_measurement, a_run
from page_suite import a_suite, written
from verdicts import HOSTILE, WAIVER, a_verdict, comparison, finding, in_turns, memory, run_of, without_interval

from pytest_gpuperf.causes.explain import Cause, Explanation
from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.findings import Rules
from pytest_gpuperf.comparison.judged import PINNED_RULES, JudgedRun
from pytest_gpuperf.errors import FileError, UsageError
from pytest_gpuperf.records.model import (
    Ceiling,
    Confirmation,
    Device,
    Environment,
    Evidence,
    Kernel,
    Profile,
    Scope,
    Verdict,
    Waiver,
)
from pytest_gpuperf.reports.html.front import front_of
from pytest_gpuperf.reports.html.page import Subject, page_of
from pytest_gpuperf.reports.html.rendering import render_html, write_html

A, B, C = (f"tests/test_x.py::test_{n}" for n in "abc")
SUITE = Verdict(word="regressed", ratio=1.1, low=1.05, high=1.2, reason="all are slower")


def subject(*findings, run=None, baseline=None, reference=None, **changes):
    run = run or run_of(A, B)
    return Subject(run, JudgedRun(run, comparison(*findings, **changes), reference), baseline)


def judged(run, baseline):
    return Subject(run, JudgedRun(run, compare(run, baseline, name="base.json")), baseline)


class Document(HTMLParser):
    """Every tag with its attributes, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside in self.raw:
            self.raw[self.inside][-1] += data
        else:
            self.text += data

    @property
    def data(self):
        return json.loads(self.raw["script"][0])


def test_the_headline_names_how_many_and_the_worst():
    slower = finding(B, "regressed", verdict=a_verdict("regressed", 1.2, low=1.1, high=1.3))
    front = front_of(subject(finding(A, "regressed"), slower))
    assert (front.state, front.headline) == ("failed", "2 of 2 compared cases regressed")
    assert (front.worst.case, front.worst.change) == (B, "20.0% [10.0%, 30.0%] slower")
    assert front.worst.figures == "10.00 ms \u2192 12.00 ms"
    assert [loss.case for loss in front.others] == [A]
    assert front.problems == ()  # the headline says it


def test_a_regressed_memory_is_said_to_be_one():
    front = front_of(subject(finding(A), memory(A, "regressed")))
    assert front.headline == "The one compared case regressed"
    assert (front.worst.change, front.worst.figures, front.worst.why) == (
        "10.0% [8.9%, 11.1%] more memory",
        "953.7 MiB \u2192 1.024 GiB",
        None,
    )


def test_the_likeliest_cause_stands_beside_the_loss():
    why = Explanation(causes=(Cause(kind="copy", sentence="1 new copy"), Cause(kind="idle", sentence="idle")))
    front = front_of(subject(finding(A, "regressed"), finding(B, "regressed"), explanations={A: why, B: Explanation()}))
    assert [loss.why for loss in (front.worst, *front.others)] == ["1 new copy", None]


def test_what_other_software_made_slower_is_a_loss_and_its_problem_stands():
    front = front_of(subject(finding(A, "environment"), finding(B)))
    assert front.worst.case == A
    assert front.problems[0].startswith("1 of 2 compared figures cost more with other versions of software")


def test_what_turns_decided_and_what_that_took():
    took = Confirmation(tests=1, launches=5, seconds=41)
    given = subject(in_turns(A, ratio=1.051), in_turns(B, "unchanged", 1.002), confirmation=took)
    remarks = front_of(given).remarks
    assert "confirmed in turns with 3f2a91c: 1 test, 5 launches, 41 s" in remarks
    assert remarks[0].startswith(f"Unchanged: {B}: 10.0% slower than the baseline, and 0.2%")
    (judged,) = page_of(given).cases[0].judged
    assert (judged.turns, judged.margin, judged.costs) == ("3f2a91c, 5 launches in turns", 0.03, (0.01, 0.01051))
    assert judged.reason.startswith("10.0% slower than the baseline, and 5.1%")


def test_a_verdict_that_does_not_know_what_a_call_took_before():
    (judged,) = (
        page_of(subject(finding(A, verdict=a_verdict("inconclusive", before=None)), run=run_of(A))).cases[0].judged
    )
    assert judged.costs == (0.01, 0.01)


def test_many_losses_are_counted():
    names = [f"x.py::t{i}" for i in range(9)]
    front = front_of(subject(*(finding(n, "regressed") for n in names), run=run_of(*names)))
    assert (len(front.others), front.more) == (4, 4)


@pytest.mark.parametrize(
    ("given", "state", "headline"),
    [
        (subject(finding(A), finding(B)), "passed", "None of 2 compared cases regressed"),
        (
            subject(finding(A, "inconclusive"), *(finding(f"x{i}") for i in range(5))),
            "passed",
            "None of 6 compared cases regressed; 1 inconclusive, which is not a pass",
        ),
        (
            subject(finding(A, "environment"), finding(B)),
            "failed",
            "None of 2 compared cases regressed; 1 slower with other versions of software",
        ),
        (subject(), "failed", "Nothing was compared"),
        (
            subject(finding(A), vanished=(B,)),
            "failed",
            "The one compared case did not regress; 1 case vanished",
        ),
        (
            subject(finding(A), unmeasured={B: "skipped"}),
            "failed",
            "The one compared case did not regress; 1 case not measured",
        ),
        (
            subject(*(finding(f"x{i}", "inconclusive") for i in range(6))),
            "failed",
            "None of 6 compared cases regressed; too few verdicts: 0 of 6",
        ),
        (
            subject(finding(A), expired={A: Waiver(until="2020-01-01", reason="x")}),
            "failed",
            "The one compared case did not regress; it fails for another reason",
        ),
        (
            subject(finding(A), suite=SUITE),
            "failed",
            "The suite as a whole regressed; the one compared case did not regress by itself",
        ),
        (Subject(run_of(A)), "measured", "1 case measured; no baseline, so nothing was judged"),
        (Subject(run_of(A, B), baseline=a_baseline(0)), "measured", "2 cases measured; nothing was judged"),
    ],
    ids=[
        "passed",
        "undecided",
        "software",
        "nothing",
        "vanished",
        "skipped",
        "open",
        "waiver",
        "suite",
        "measured",
        "unjudged",
    ],
)
def test_the_headline_of(given, state, headline):
    front = front_of(given)
    assert (front.state, front.headline) == (state, headline)
    assert headline in Document(render_html(given)).text


def test_what_stands_beside_the_verdict():
    unproven = Evidence(verdict="unknown")
    reference = comparison(finding(A, "regressed"), without_interval(finding(B, "improved")), rules=PINNED_RULES)
    front = front_of(
        subject(
            finding(A, "regressed", waiver=WAIVER),
            run=run_of(A, B, evidence=unproven),
            reference=msgspec.structs.replace(
                reference, baseline="pinned.json", confirmation=Confirmation(tests=1, launches=5, seconds=20)
            ),
            changes=("torch 2.13.0 -> 2.15.0",),
            suite=msgspec.structs.replace(SUITE, word="unchanged"),
            rules=Rules(min_decided=0),
        )
    )
    assert front.remarks == (
        "Changed since the baseline: torch 2.13.0 -> 2.15.0",
        "suite unchanged, +10.0% [+5.0%, +20.0%]: all are slower",
        f"Waived until 2031-01-31: {A} (the <new> kernel | known)",
        "All verdicts: 1 waived; 1 of 1 decided",
        "intervals: 90%",
        "2 cases unvalidated: which device did the work is not proven",
        "Since the reference pinned.json: 1 improved, 1 regressed; 2 of 2 decided",
        "confirmed in turns: 1 test, 5 launches, 20 s",
        f"regressed since the reference: {A}, 10.0% [8.9%, 11.1%] slower",
        f"improved since the reference: {B}, 10.0% faster",
    )


def test_where_the_figures_come_from():
    assert dict(front_of(subject(finding(A))).facts) == {
        "device": "Tesla T4",
        "baseline": "baselines/t4.json",
        "measured": "2026-01-01 02:00:00 UTC, 1 session",
        "revision": "abc123",
        "device memory": "15.0 GiB",
        "power limit": "70 W",
        "timed by": "cuda-event",
        "driver": "595.71",
        "torch": "2.15.0",
    }
    several = dict(front_of(Subject(a_run(0, 3))).facts)
    assert several["measured"] == "2026-01-01 02:00:00 UTC to 2026-01-04 02:00:00 UTC, 2 sessions"


def test_a_run_that_hardly_says_anything():
    bare = Environment(device=Device(kind="cpu", name="a processor"))
    run = msgspec.structs.replace(run_of(), environment=bare, sessions=())
    assert front_of(Subject(run)).facts == (("device", "a processor"), ("timed by", "-"))


def test_the_gravest_case_comes_first_and_the_baseline_s_blocks_stand_beside_it():
    run = a_run(9, cases=("a", "b", "c"), level=0.0101)
    run = msgspec.structs.replace(
        run,
        cases=(
            *run.cases[:1],
            msgspec.structs.replace(run.cases[1], measurements=(a_measurement(9, 0.02),)),
            run.cases[2],
        ),
    )
    run = msgspec.structs.replace(run, scope=Scope(options=("--gpuperf-device", "cpu"), root=".."))
    page = page_of(judged(run, a_baseline(0, 1, 2, 3, 4)))
    assert [(c.id[-2], c.word) for c in page.cases] == [("b", "regressed"), ("a", "unchanged"), ("c", "new")]
    slow = page.cases[0]
    assert slow.middle == pytest.approx(0.010005)
    assert [page.sessions[s[0]].baseline for s in slow.strips] == [True] * 5 + [False]
    assert slow.strips[0][1:] == (-5, 5)
    assert all(9900 < part < 10100 for part in slow.strips[-1][1:])  # twice the time
    again = "gpuperf calibrate --sessions 5 --into base.json"
    assert slow.accept == f"{again} -- --gpuperf-device cpu '../tests/test_x.py::test[b]'"
    assert page.cases[1].accept is None
    assert page.compared


def test_figures_of_another_count_of_items_stand_beside_nothing():
    run = a_run(9, cases=("a",), items=4)
    (case,) = page_of(judged(run, a_baseline(0, 1, 2, 3, 4))).cases
    assert len(case.strips) == 1
    assert case.word == "measured"


def test_what_is_known_of_a_case():
    run = run_of(
        A,
        latencies=tuple(0.011 + i * 1e-5 for i in range(130)),
        walls=(0.0102,) * 8,
        first_call=0.5,
        warmup_calls=3,
        warmup_seconds=0.1,
        memory_source="torch allocator",
        energy=0.5,
        energy_above_idle=0.25,
        state="thermal slow-down",
        temperature=61,
        sm_clock=1590,
        flops=10**9,
        ceiling=Ceiling(product=1e12, copy=1e11),
        ended="cap",
        notes=("noted", "noted"),
        evidence=Evidence(verdict="proven"),
    )
    page = page_of(Subject(run))
    (case,) = page.cases
    assert {page.texts[name]: said for name, said in case.facts} == {
        "sampling": "32 spans of 3 calls in 8 blocks, stopped by its cap",
        "median known to": "\u00b10.20%",
        "warm-up": "3 calls, 100 ms",
        "first call": "500 ms",
        "host beyond device": "180 us a call",
        "memory by": "torch allocator",
        "energy above idle": "0.250 J/item",
        "arithmetic": "0.0998 TFLOP/s, 10% of the device's",
        "SM clock": "1590 MHz",
        "temperature": "61 \u00b0C",
        "state": "thermal slow-down",
    }
    assert (case.latency.p95, case.latency.p99) == (pytest.approx(0.01223), None)
    assert (case.energy, page.texts[case.clock], page.texts[case.rate_clock]) == (0.5, "cuda-event", "host")
    assert [page.texts[n] for n in case.notes] == ["noted"]
    assert case.proof.verdict == "proven"
    assert not page.compared


def test_arithmetic_without_a_ceiling():
    page = page_of(Subject(run_of(A, flops=10**9, span_calls=1)))
    assert "32 spans of 1 call in 8 blocks, until its median was known" in dict(page.cases[0].facts).values()
    assert "0.0998 TFLOP/s" in dict(page.cases[0].facts).values()


def test_the_session_that_is_not_proven_is_the_one_shown():
    run = a_run(0, 1, 2, cases=("a",))
    verdicts = ("proven", "contradicted", "proven")
    measured = tuple(
        msgspec.structs.replace(
            m, evidence=Evidence(verdict=v, diagnosis="the processor did it" if v != "proven" else None)
        )
        for m, v in zip(run.cases[0].measurements, verdicts, strict=True)
    )
    run = msgspec.structs.replace(run, cases=(msgspec.structs.replace(run.cases[0], measurements=measured),))
    assert page_of(Subject(run)).cases[0].proof.diagnosis == "the processor did it"


def test_too_little_evidence_has_no_interval():
    (case,) = page_of(subject(without_interval(finding(A, "inconclusive")), run=run_of(A))).cases
    assert (case.judged[0].low, case.judged[0].high, case.judged[0].ratio) == (None, None, 1.0)


def test_a_waived_regression_says_until_when():
    (case,) = page_of(subject(finding(A, "regressed", waiver=WAIVER), memory(A, "unchanged"), run=run_of(A))).cases
    assert (case.word, case.judged[0].waived) == ("waived", "until 2031-01-31: the <new> kernel | known")
    assert [j.metric for j in case.judged] == ["throughput", "peak_memory"]


def test_parameters_in_the_order_people_say_them():
    run = run_of(A, B)
    first = msgspec.structs.replace(run.cases[0], parameters={"seed": "1", "batch": "8", "model": "m"})
    page = page_of(Subject(msgspec.structs.replace(run, cases=(first, run.cases[1]))))
    assert page.parameters == ("model", "batch", "seed")
    told = [[None if p is None else page.texts[p] for p in case.parameters] for case in page.cases]
    assert told == [["m", "8", "1"], [None, None, None]]


def test_what_has_no_figure_is_listed():
    run = msgspec.structs.replace(run_of(A), scope=Scope(unmeasured={B: "failed in call"}))
    page = page_of(subject(finding(A), run=run, vanished=(C,), unmeasured={"other": "skipped: no GPU"}))
    assert page.absent == {
        B: "failed in call",
        C: "vanished: it is in the baseline, and no test measures it now",
        "other": "skipped: no GPU",
    }


def profile(*kernels, session="s0"):
    return Profile(session=session, unit="kernel", launches=len(kernels), busy=1e-3, idle=0.0, kernels=kernels)


def test_causes_and_kernels():
    run, baseline = a_suite(6)
    page = page_of(judged(run, baseline))
    slow, quiet = page.cases[0], page.cases[-1]
    assert slow.word == "regressed"
    assert any("copies more" in cause for cause in slow.causes)
    assert slow.ran.header == ("kernel", "count", "before", "now", "change", "what")
    assert any(page.texts[k[0]] == "copy_ (contiguous)" and k[-1] == "appeared" for k in slow.ran.kernels)
    assert any(said.startswith("launches 60 -> 128") for said in slow.ran.context)
    assert quiet.causes == ()
    assert quiet.ran.header == ("kernel", "count", "time")


def test_why_there_is_no_cause_is_said():
    missing = Explanation(missing="no profile was kept: record one")
    page = page_of(subject(finding(A, "regressed"), run=run_of(A), explanations={A: missing}))
    assert page.cases[0].causes == ("no profile was kept: record one",)
    assert page.cases[0].ran is None


def test_a_profile_that_nothing_is_held_against():
    run = run_of(A)
    kernels = (
        Kernel(name="gemm", count=3, seconds=1e-3),
        Kernel(name="copy_", within="contiguous", count=1, seconds=0.0),
    )
    case = msgspec.structs.replace(run.cases[0], profile=profile(*kernels))
    page = page_of(Subject(msgspec.structs.replace(run, cases=(case,))))
    shown = [(page.texts[name], *cells) for name, *cells in page.cases[0].ran.kernels]
    assert shown == [("gemm", "3", "1.00 ms"), ("copy_ (contiguous)", "1", "1.00 ns")]


def test_nothing_runs_or_loads_but_what_is_written_into_it():
    page = Document(render_html(subject(finding(A, "regressed"))))
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    data, script = page.raw["script"]
    (style,) = page.raw["style"]
    assert f"script-src {hashed(script)};" in policy
    assert f"style-src {hashed(style)};" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert json.loads(data)["cases"]
    for _, attributes in page.tags:
        assert not {"style", "src", "srcset"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith(("#", "data:"))


def test_hostile_names_stay_text():
    names = ("x.py::t[</script><img src=x onerror=alert(1)>]", "x.py::t['\"><svg onload=alert(2)>\u2028]", *HOSTILE)
    text = render_html(subject(*(finding(n, "regressed") for n in names), run=run_of(*names), vanished=names))
    page = Document(text)
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert not {"img", "svg", "a"} & {tag for tag, a in page.tags if not a.get("class")}
    assert "</script><img src=x onerror=alert(1)>" in page.text
    assert {c["id"] for c in page.data["cases"]} >= {"x.py::t[</script><img src=x onerror=alert(1)>]"}
    assert all(c.isprintable() or c == "\n" for c in text)


def test_two_thousand_cases_are_below_five_megabytes(tmp_path):
    path = written(tmp_path, *a_suite(2000, sessions=10))
    assert path.stat().st_size < 5e6


def test_the_folder_is_made_and_trouble_with_it_is_said(tmp_path):
    assert write_html(tmp_path / "new" / "folder", Subject(run_of(A))).name == "index.html"
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written: Not a directory"):
        write_html(tmp_path / "file" / "folder", Subject(run_of(A)))


def test_without_jinja2_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'pytest-gpuperf[report]'")):
        render_html(Subject(run_of(A)))


def test_both_peaks_of_memory_are_named():
    run = run_of(A, peak_memory=2**30, peak_allocated=3 * 2**30)
    (case,) = page_of(Subject(run, None)).cases
    texts = page_of(Subject(run, None)).texts
    assert ("peak with what was there before", "3.00 GiB") in [(texts[name], said) for name, said in case.facts]
