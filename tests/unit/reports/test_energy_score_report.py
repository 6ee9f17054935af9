"""An energy score for people (a document) and for programs (CSV): every figure, or why there is none."""

from __future__ import annotations

import csv
import io

import pytest
from msgspec import structs
from scores import H100, LAPTOP, NO_GPU, NO_RAPL, a_head, a_journal, a_query, a_score, a_session, a_stretch, on_laptop

from pytest_gpuperf.comparison.energy_score import score_of
from pytest_gpuperf.records.energy_score import PartEnergy, Phase
from pytest_gpuperf.records.grid import Grid
from pytest_gpuperf.records.model import Evidence
from pytest_gpuperf.reports.document import as_html, as_markdown, as_text
from pytest_gpuperf.reports.energy_score_csv import queries_csv, runs_csv, stages_csv
from pytest_gpuperf.reports.energy_score_report import document, summary

FRANCE = Grid(56.0, "56 g CO2e/kWh, France 2023, by codecarbon 3.3.2")
OFFICIAL = {"runs": 10, "queries": 1000, "pretrained": True, "prompts": "aies.jsonl (sha256 1)", "prompt_tokens": None}


def text(score, grid=None):
    return as_text(document(score, grid), 400)


def rows(table):
    return list(csv.DictReader(io.StringIO(table)))


def laptop(**more):
    return a_score(a_head(device=LAPTOP, scale="smoke", **more), on_laptop(), gpu=None, cpu=None)


def test_on_a_card_the_score_comes_first():
    lines = text(a_score()).splitlines()
    assert lines[0] == "AIEnergyScore-style: text:phi-2 (full, fp16) on NVIDIA H100 80GB HBM3"
    assert lines[3] == (
        "- 200.0 +- 0 Wh of GPU energy per 1,000 queries; 166.7 +- 0 Wh of it above what the idle card takes."
    )
    assert lines[4] == "- 72.00 +- 0 J of GPU energy per generated token."
    assert lines[5] == "- 5.000 +- 0 generated tokens/s, prompt tokens not counted."
    assert "It is proven that NVIDIA H100 80GB HBM3 did the work." in text(a_score())
    assert "36.0 W by codecarbon 3's model" in text(a_score())
    assert "To be doubted" not in text(a_score())


def test_runs_are_shown_one_by_one_with_the_second_witness():
    shown = text(a_score(gpu=PartEnergy(joules=720.0, sampled=705.6, peak_watts=400.0)))
    row = next(line for line in shown.splitlines() if line.startswith("  1 "))
    assert row.split() == [
        "1",
        "0.6000",
        "0.08333",
        "0.06000",
        "0.7433",
        "6.000",
        "5.000",
        "72.00",
        "360.0",
        "400.0",
        "-2.0%",
    ]


def test_on_a_laptop_each_part_has_its_reason_and_nothing_is_zero():
    shown = text(laptop())
    assert f"No GPU energy: {NO_GPU}." in shown
    assert f"No CPU energy: {NO_RAPL}." in shown
    assert "No total energy: a sum without a part would be taken for all of it." in shown
    assert "RAM energy of a run" in shown
    assert "GPU energy of a run" not in shown
    assert "Size: a narrow twin" in shown


def test_parts_that_lack_for_one_reason_share_a_line():
    session = a_session(gpu=None, cpu=None, ram_watts=None, missing={"gpu": "x", "cpu": "x", "ram": "y"})
    shown = text(a_score(session=session, gpu=None, cpu=None))
    assert "No GPU energy and no CPU energy: x." in shown
    assert "No RAM energy: y." in shown
    assert "RAM energy is not measured" not in shown
    assert "RAM  " in shown


def test_without_idle_watts_the_first_line_says_so():
    lines = [
        a_stretch(line.run, gpu_idle_watts=None, reason="no watts") if isinstance(line, type(a_stretch(1))) else line
        for line in a_journal()
    ]
    assert "its part above idle is not known: no watts." in text(score_of(lines))


def test_phases_are_windows_of_their_own_or_not_there():
    assert (
        "Prefill, to the first token: 30.0 J a query, 20.0 J of it above idle (energy of 50 calls in 5.0 s: energy "
        "counter)." in text(a_score())
    )
    assert "Decode, from the first token to the last: 50.00 +- 0 J a token" in text(a_score())
    lines = [*a_journal(decode_joules=None, decode_reason="too short")[:-1], Phase(name="prefill", note="not had")]
    shown = text(score_of(lines))
    assert "Prefill: not had." in shown
    assert "Decode: not measured: too short." in shown
    without_idle = [*a_journal()[:-1], Phase(name="prefill", joules=30.0, note="n")]
    assert "30.0 J a query (n)." in text(score_of(without_idle))


def test_doubts_are_gathered_by_kind():
    shown = text(a_score(a_head(runs=3), seconds=0.1, gpu=PartEnergy(joules=4.0, sampled=7.0)))
    assert "Run 1: a window of 0.3 s with 3 updates" in shown
    assert "for 2 %. (and 2 more runs so)" in shown
    assert "Run 1: the sampled watts are +75.0% from the energy counter" in shown


@pytest.mark.parametrize(
    ("evidence", "doubt"),
    [
        (Evidence(verdict="unknown"), "It is not proven that the device did the work (unknown)."),
        (Evidence(verdict="contradicted", diagnosis="CPU fallback"), "(contradicted): CPU fallback."),
        (None, None),
    ],
)
def test_work_that_is_not_proven_is_doubted(evidence, doubt):
    shown = text(a_score(session=a_session(evidence=evidence)))
    assert "It is proven" not in shown
    assert (doubt or "") in shown
    assert ("To be doubted" in shown) == (doubt is not None)


def test_two_cards_are_named():
    lines = a_journal()
    lines[8:8] = [a_session(card="b2")]
    assert "2 cards of this kind took part" in text(score_of(lines))


def test_one_run_has_no_interval():
    assert "- 200.0 Wh of GPU energy per 1,000 queries" in text(a_score(a_head(runs=1)))
    assert "1 run of 1 query" in text(a_score(a_head(runs=1, queries=1)))


def test_each_difference_from_the_official_procedure_is_a_line():
    ours = text(laptop(runs=1, max_new_tokens=64, precision="bf16"))
    for difference in (
        "Data set: token ids that are drawn, 128 a prompt; officially",
        "Weights: random",
        "Size: a narrow twin",
        "Hardware: AMD EPYC; officially",
        "Amount: 1 run of 3 queries; officially 10 runs of 1,000 queries.",
        "Answers: 64 tokens each; officially 10.",
        "Precision: bf16; officially half precision.",
        "Sampling: always the likeliest token",
        "Phases: the whole query is measured at once",
        "Meter: the card's own counter",
    ):
        assert f"- {difference}" in ours
    official = text(a_score(a_head(**OFFICIAL)))
    assert "- Data set: the texts of aies.jsonl (sha256 1); officially" in official
    for same in ("Weights", "Size", "Hardware", "Amount", "Answers", "Precision"):
        assert f"- {same}:" not in official


def test_stages_and_configuration_stand_at_the_end():
    shown = text(a_score(), FRANCE)
    assert "Emissions: 56 g CO2e/kWh, France 2023, by codecarbon 3.3.2." in shown
    stage = next(line for line in shown.splitlines() if line.strip().startswith("1  inference"))
    assert stage.split() == [
        "1",
        "inference",
        "12.0",
        "s",
        "1.00",
        "GiB",
        "2.00",
        "GiB",
        "1.00",
        "GiB",
        "-",
        "-",
        "97%",
    ]
    for fact in ("gpuperf energy-score text:phi-2", "GPU board, instant power", "carbon intensity", "torch", "random"):
        assert fact in shown.partition("Configuration")[2]
    trained = text(a_score(a_head(pretrained=True, prompt_tokens=None))).partition("Configuration")[2]
    assert "trained" in trained
    assert "prompt tokens" not in trained


def test_it_is_a_page_and_markdown_too():
    blocks = document(a_score(), FRANCE)
    assert "<title>AIEnergyScore-style: text:phi-2" in as_html(blocks)
    assert "## What differs from the official AIEnergyScore" in as_markdown(blocks)
    assert len(summary(a_score(), FRANCE)) < len(blocks)


def test_a_row_a_run():
    row, _ = rows(runs_csv(a_score(), FRANCE))
    assert row["energy_wh"] == row["gpu_energy_wh"] == "0.6"
    assert [row[f"{part}_energy_wh"] for part in ("cpu", "ram", "total")] == ["0.0833333", "0.06", "0.743333"]
    assert row["gpu_energy_above_idle_wh"] == "0.5"
    assert (row["queries"], row["prompt_tokens"], row["generated_tokens"], row["seconds"]) == ("3", "384", "30", "6")
    assert (row["tokens_per_second"], row["total_tokens_per_second"]) == ("5", "69")
    assert (row["joules_per_generated_token"], row["wh_per_1000_queries"]) == ("72", "200")
    assert (row["mean_power_w"], row["peak_power_w"]) == ("360", "400")
    assert (row["gpu_emissions_g"], row["total_emissions_g"]) == ("0.0336", "0.0416267")
    assert row["missing"] == ""


def test_what_is_missing_is_empty_with_its_reason():
    row = rows(runs_csv(laptop(), None))[0]
    for name in ("energy_wh", "gpu_energy_wh", "cpu_energy_wh", "total_energy_wh", "mean_power_w", "gpu_emissions_g"):
        assert row[name] == ""
    assert row["ram_energy_wh"] == "0.06"
    assert f"mean_power_w, peak_power_w, gpu_emissions_g: {NO_GPU}" in row["missing"]
    assert f"cpu_energy_wh: {NO_RAPL}" in row["missing"]
    assert "0" not in {row[name] for name in row if name.endswith("_wh")}
    without_grid = rows(runs_csv(a_score(), None))[0]
    assert without_grid["missing"] == (
        "gpu_emissions_g, total_emissions_g: the carbon intensity of the power is not known: --grid"
    )


def test_a_row_a_query():
    found = rows(queries_csv(a_score(seconds=6.0)))
    assert [(row["run"], row["query"]) for row in found] == [(str(r), str(q)) for r in (1, 2) for q in (1, 2, 3)]
    assert found[0]["gpu_energy_wh"] == "0.2"
    assert (found[0]["latency_ms"], found[0]["ttft_ms"]) == ("1900", "100")
    assert (found[0]["mean_power_w"], found[0]["peak_power_w"]) == ("360", "400")
    assert found[0]["missing"] == ""


def test_a_query_too_short_for_the_meter_has_no_energy_of_its_own():
    row = rows(queries_csv(a_score()))[0]
    assert row["gpu_energy_wh"] == ""
    assert row["missing"] == (
        "gpu_energy_wh: a window of 2 s with 20 updates of the counter: 5 s, or 50 updates, are needed for 2 %"
    )


def test_a_part_without_any_reason_says_at_least_that():
    assert rows(queries_csv(a_score(gpu=PartEnergy(joules=1.0))))[0]["missing"].startswith(
        "mean_power_w, peak_power_w: not available"
    )


def test_a_row_a_stage():
    idle, inference = rows(stages_csv(a_score()))
    assert idle == {
        "session": "1",
        "stage": "idle",
        "seconds": "0.3",
        "tensors_bytes": "0",
        "our_bytes": "1048576",
        "others_bytes": "1073741824",
        "mean_power_w": "60",
        "peak_power_w": "61",
        "utilization_percent": "",
    }
    assert inference["utilization_percent"] == "97"


def test_a_model_s_name_is_no_formula_and_no_command():
    head = structs.replace(a_head(model="text:=HYPERLINK(1)<b>"), environment=a_head(device=H100).environment)
    assert "<b>" not in as_html(document(a_score(head), None)).replace("&lt;b&gt;", "")
    assert a_query(1, 1).run == 1
