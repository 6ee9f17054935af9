"""A study of vision transformers as a document, as CSV and as charts: what is missing is never 0."""

from __future__ import annotations

import csv
import io

import pytest
from vit_runs import RATE, a_pipeline, a_study_folder, a_vit_run, a_vit_study, case_of

from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.vit_study import Attempt
from pytest_gpuperf.records.vit_study_files import keep_session
from pytest_gpuperf.reports.charts.vit_charts import draw_vit_charts
from pytest_gpuperf.reports.document import Picture, as_html, as_markdown, as_text
from pytest_gpuperf.reports.vit_study_csv import COLUMNS, sessions_csv
from pytest_gpuperf.reports.vit_study_report import digest, document, summary

CENTRE, NARROW = case_of("p16-d12-h768-r512"), case_of("p16-d12-h384-r512")
LARGE, COMPILED = case_of("p16-d12-h768-r1024"), case_of("p16-d12-h768-r512", "compile")
DRAWN = Picture("Efficiency by hidden width", "charts/efficiency.svg", b"<svg>light</svg>", b"<svg>dark</svg>")


@pytest.fixture
def folder(tmp_path):
    a_study_folder(tmp_path, [NARROW], rate=RATE / 1.4)
    return a_study_folder(tmp_path, [CENTRE, LARGE, COMPILED])


def shown(study, *pictures):
    return as_text(document(study, pictures), 1000)


def rows(study):
    return list(csv.DictReader(io.StringIO(sessions_csv(study))))


def test_findings_stand_first_by_question_and_beside_what_is_published(folder):
    text = as_text(summary(a_vit_study(folder)), 1000)
    assert text.startswith("Vision transformers on Tesla T4\n===")
    assert "bf16, 8 images a call, scale full; 4 cases, 12 sessions." in text
    assert "Software: driver 595.71, torch 2.15.0." in text
    architecture, compilation = text.index("Architecture: "), text.index("Compilation: ")
    assert architecture < text.index("hidden 768 reaches 1.40x") < text.index("Resolution: ") < compilation
    assert "Published of an NVIDIA L40S, and not to be expected of another device: hidden 768 and wider" in text
    assert "2 of 48 cases are measured. The same command goes on with the others." in text


def test_a_question_that_is_answered_whole_has_nothing_to_go_on_with(tmp_path):
    every = [case_of(f"p{p}-d{d}-h{h}-r64") for p in (8, 16) for d in (2, 4) for h in (64, 128, 192)]
    a_study_folder(tmp_path, every, 1)
    assert "cases are measured" not in as_text(summary(a_vit_study(tmp_path, "smoke"))[:4], 1000)


def test_nothing_to_compare_yet_is_said(tmp_path):
    a_study_folder(tmp_path, [CENTRE])
    assert "Nothing is held against anything yet: 1 case is measured." in as_text(summary(a_vit_study(tmp_path)), 1000)


def test_every_case_has_a_row_with_what_its_sizes_say_and_what_was_measured(folder):
    text = shown(a_vit_study(folder))
    row = next(line for line in text.splitlines() if line.split()[:5] == ["16", "12", "768", "512", "eager"])
    assert row.split()[5:9] == ["1025", "87.2", "M", "1712"]
    assert "50%" in row
    assert "0.500 J" in row
    assert row.endswith("3")
    assert "100 TFLOP/s" in text


def test_what_is_missing_is_a_dash_and_its_reason(tmp_path):
    a_study_folder(
        *(tmp_path, [CENTRE]),
        ceiling=None,
        energy=None,
        latencies=(),
        peak_memory=None,
        memory_source=None,
        notes=("energy not available: no meter", "energy not available: no meter"),
    )
    a_study_folder(tmp_path, [NARROW], ceiling=None, notes=("this device was busy",))
    study = a_vit_study(tmp_path)
    text = shown(study)
    row = next(line for line in text.splitlines() if line.split()[:3] == ["16", "12", "768"])
    assert row.split().count("-") == 4  # no latency, efficiency, memory or energy
    assert "Efficiency is not known: no session could measure a large matrix product." in text
    assert "3 of 6 sessions: energy not available: no meter" in text
    assert "3 of 6 sessions: this device was busy" in text
    first = rows(study)[0]
    names = ("latency_p50_seconds", "efficiency", "peak_memory_bytes", "memory_source", "joules_per_image")
    assert [first[name] for name in names] == [""] * 5


def test_of_notes_that_differ_in_a_number_the_worst_stands_for_all(tmp_path):
    for number, share in enumerate((10, 60, 20), 1):
        run = a_vit_run(CENTRE, number, notes=(f"for more than {share}% of the time it waited",))
        keep_session(tmp_path, CENTRE, number, run)
    text = shown(a_vit_study(tmp_path))
    assert "all sessions, the worst: for more than 60% of the time it waited" in text
    assert "10%" not in text


def test_resident_memory_is_marked(tmp_path):
    a_study_folder(tmp_path, [CENTRE], memory_source="RSS")
    assert " RSS" in shown(a_vit_study(tmp_path))


def test_what_failed_is_listed_with_its_reason(folder):
    tried = [Attempt(test=case_of("p8-d24-h1280-r2048").test, session=1, failed="needs 61 GiB")]
    places = [case_of(f"p16-d12-h768-r{r}", way) for r in (512, 256) for way in ("local", "remote")]
    tried += [Attempt(test=case.test, session=1, failed="one NUMA node") for case in places]
    study = a_vit_study(folder, attempts=tried)
    assert "one NUMA node" in as_text(summary(study), 1000), "a question that was not asked has its reason there"
    text = shown(study)
    assert "test_numa[p16-d12-h768-r256-bf16-local-8], and 1 more: one NUMA node" in text
    assert "test_vit[p8-d24-h1280-r2048-bf16-eager-8]: needs 61 GiB" in text
    assert "--retry" in text
    assert "--retry" not in shown(a_vit_study(folder))


def test_a_document_says_which_files_it_is_of(folder):
    study = a_vit_study(folder)
    markdown, html = as_markdown(document(study)), as_html(document(study))
    for text in (markdown, html):
        assert digest(study) in text
        assert all(source.sha256[:12] in text for source in study.sources)
    assert [row["sha256"] for row in rows(study)] == [
        next(s.sha256 for s in study.sources if s.file == row["file"]) for row in rows(study)
    ]


def test_the_table_of_sessions_has_a_row_each(folder):
    found = rows(a_vit_study(folder))
    assert len(found) == 4 * 3
    assert tuple(found[0]) == COLUMNS
    first = found[0]
    assert (first["hidden"], first["session"], first["way"], first["tokens"]) == ("768", "1", "eager", "1025")
    assert float(first["efficiency"]) == pytest.approx(0.5, rel=0.01)
    assert int(first["peak_memory_bytes"]) == CENTRE.memory


def test_compiling_has_its_own_columns(tmp_path):
    cost = CompileCost(ready_in=20.0, in_compiler=18.0, graphs=1, recompiles=2, cache_misses=1)
    a_study_folder(tmp_path, [COMPILED], 1, compile_cost=cost)
    a_study_folder(tmp_path, [CENTRE], 1)
    compiled, eager = sorted(rows(a_vit_study(tmp_path)), key=lambda row: row["way"])
    names = ("compile_seconds", "compile_cache", "graph_breaks", "recompiles")
    assert [compiled[name] for name in names] == ["20", "cold", "0", "2"]
    assert [eager[name] for name in names] == [""] * 4


def test_pictures_stand_in_the_document(folder):
    assert "![Efficiency by hidden width](charts/efficiency.svg)" in as_markdown(document(a_vit_study(folder), [DRAWN]))


def test_a_pipeline_s_design_has_a_row_with_what_limits_it(tmp_path):
    case = case_of("p16-d12-h768-r512", "async-q2-cpu")
    for number, limit in enumerate(("inference", "decode", "inference"), 1):
        figures = a_pipeline(case, case.flops / RATE, limit)
        notes = (f"bottleneck {limit}: it is busy", "more workers than cores")
        keep_session(tmp_path, case, number, a_vit_run(case, number, pipeline=figures, notes=notes))
    study = a_vit_study(tmp_path)
    text = shown(study)
    assert "of its slowest stage's bound" in text
    row = next(line for line in text.splitlines() if line.startswith("p16-d12-h768-r512  async-q2-cpu"))
    assert row.endswith("90%  inference, decode")
    assert "all sessions: more workers than cores" in text
    assert "it is busy" not in text
    assert [row["bottleneck"] for row in rows(study)] == ["inference", "decode", "inference"]
    assert float(rows(study)[0]["share_of_slowest_stage"]) == pytest.approx(0.9)


def test_charts_show_what_has_more_than_a_point(folder):
    pytest.importorskip("matplotlib")
    charts = {chart.picture.file: chart for chart in draw_vit_charts(a_vit_study(folder), "charts")}
    assert list(charts) == ["charts/efficiency.svg", "charts/throughput.svg", "charts/memory.svg"]
    for chart in charts.values():
        assert len(chart.files) == 4
    assert ">patch 16, depth 12<" in charts["charts/efficiency.svg"].picture.light.decode()
    assert ">patch 16, depth 12, hidden 768<" in charts["charts/memory.svg"].picture.light.decode()


def test_charts_of_nothing_are_none(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    a_study_folder(tmp_path, [CENTRE, NARROW, LARGE], ceiling=None, memory_source="RSS")
    study = a_vit_study(tmp_path)
    assert [chart.picture.file for chart in draw_vit_charts(study, "c")] == ["c/throughput.svg"]
    assert draw_vit_charts(study, "c") == draw_vit_charts(study, "c")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert draw_vit_charts(study, "c") == []
