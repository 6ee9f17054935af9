"""What a study of vision transformers concludes: ratios with intervals, from raw runs of known speed."""

from __future__ import annotations

import msgspec
import pytest
from examples import ENVIRONMENT
from vit_runs import PRODUCT, RATE, a_copy, a_pipeline, a_study_folder, a_vit_run, a_vit_study, case_of

from pytest_gpuperf.comparison.vit_summary import scale_of
from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.model import Ceiling
from pytest_gpuperf.records.vit_study import Attempt
from pytest_gpuperf.records.vit_study_files import keep_session, raw_runs

CENTRE = case_of("p16-d12-h768-r512")
NARROW = case_of("p16-d12-h384-r512")


def study_of(folder, rates, sessions=3, **changes):
    for case, rate in rates.items():
        a_study_folder(folder, [case], sessions, rate=rate, **changes)
    return a_vit_study(folder)


def sentences(study, question):
    return [f.sentence for f in study.findings if f.question == question]


def test_a_wider_model_is_held_against_the_narrowest(tmp_path):
    study = study_of(tmp_path, {NARROW: RATE / 1.4, CENTRE: RATE})
    (finding,) = study.findings
    assert finding.ratio == pytest.approx(1.4)
    assert finding.low < 1.4 < finding.high
    assert finding.sessions == 3
    assert finding.sentence.startswith("hidden 768 reaches 1.40x [1.40, 1.40] the efficiency of hidden 384: 50.0% of")
    assert finding.sentence.endswith("against 35.7% (depth 12, patch 16).")


def test_where_the_interval_holds_one_nothing_was_shown(tmp_path):
    a_study_folder(tmp_path, [CENTRE], rate=RATE)
    for number, rate in enumerate((0.99 * RATE, 1.02 * RATE, 1.0 * RATE), 1):
        keep_session(tmp_path, NARROW, number, a_vit_run(NARROW, number, rate=rate))
    (said,) = sentences(a_vit_study(tmp_path), 1)
    assert "hidden 768 beside hidden 384: " in said
    assert "no difference that this could show" in said


def test_one_session_has_no_interval(tmp_path):
    study = study_of(tmp_path, {NARROW: RATE / 2, CENTRE: RATE}, sessions=1)
    (finding,) = study.findings
    assert (finding.low, finding.high, finding.sessions) == (None, None, 1)
    assert "hidden 768 reaches 2.00x [no interval] the efficiency" in finding.sentence


def test_only_sessions_of_one_round_are_held_against_each_other(tmp_path):
    keep_session(tmp_path, CENTRE, 1, a_vit_run(CENTRE, 1))
    keep_session(tmp_path, NARROW, 2, a_vit_run(NARROW, 2))
    assert a_vit_study(tmp_path).findings == ()


def test_other_architectures_say_how_far_it_holds(tmp_path):
    deep, deep_narrow = case_of("p16-d24-h768-r512"), case_of("p16-d24-h384-r512")
    patch, patch_narrow = case_of("p8-d24-h768-r512"), case_of("p8-d24-h384-r512")
    rates = {NARROW: RATE / 1.4, CENTRE: RATE, deep: RATE, deep_narrow: RATE / 1.2}
    (said,) = (s for s in sentences(study_of(tmp_path, rates), 1) if s.startswith("hidden"))
    assert said.endswith(" In another architecture: 1.20x.")
    (said,) = (
        s for s in sentences(study_of(tmp_path, {patch: RATE, patch_narrow: RATE / 1.6}), 1) if s.startswith("hidden")
    )
    assert said.endswith(" In 2 other architectures: 1.20x to 1.60x.")


def test_without_a_product_there_is_a_ratio_and_no_share(tmp_path):
    study = study_of(tmp_path, {NARROW: RATE / 1.4, CENTRE: RATE}, ceiling=None)
    assert study.product is None
    assert study.efficiency(study.cases[0]) is None
    assert "the efficiency of hidden 384 (depth 12" in sentences(study, 1)[0]


def test_efficiency_is_a_share_of_the_best_product_of_any_session(tmp_path):
    a_study_folder(tmp_path, [CENTRE])
    better = Ceiling(product=2 * PRODUCT, copy=1e12)
    keep_session(tmp_path, NARROW, 1, a_vit_run(NARROW, 1, ceiling=better))
    study = a_vit_study(tmp_path)
    assert study.product == 2 * PRODUCT
    assert study.efficiency(study.cases[-1]) == pytest.approx(RATE / 2 / PRODUCT, rel=0.01)


def test_more_pixels_cost_throughput_and_memory(tmp_path):
    larger = case_of("p16-d12-h768-r1024")
    (said,) = sentences(study_of(tmp_path, {CENTRE: RATE, larger: RATE}), 2)
    ratio = CENTRE.flops / larger.flops
    assert said.startswith(f"resolution 1024 beside 512 brings {ratio:.3f}x [")
    assert f"and needs {larger.memory / CENTRE.memory:.2f}x [" in said
    assert "4.00x the tokens and 6.16x the operations (patch 16, depth 12, hidden 768)" in said


def test_resident_memory_gives_no_ratio(tmp_path):
    rates = {CENTRE: RATE, case_of("p16-d12-h768-r1024"): RATE}
    (said,) = sentences(study_of(tmp_path, rates, memory_source="RSS"), 2)
    assert "memory" not in said


def test_more_pixels_for_nothing_are_no_difference(tmp_path):
    larger = case_of("p16-d12-h768-r1024")
    (said,) = sentences(study_of(tmp_path, {CENTRE: RATE, larger: RATE * larger.flops / CENTRE.flops}), 2)
    assert "the throughput, no difference that this could show, and needs" in said


def test_steps_of_rounds_that_have_none_in_common_are_left_out(tmp_path):
    keep_session(tmp_path, CENTRE, 1, a_vit_run(CENTRE, 1))
    keep_session(tmp_path, case_of("p16-d12-h768-r1024"), 2, a_vit_run(case_of("p16-d12-h768-r1024"), 2))
    keep_session(
        tmp_path, case_of("p16-d12-h768-r512", "compile"), 2, a_vit_run(case_of("p16-d12-h768-r512", "compile"))
    )
    assert a_vit_study(tmp_path).findings == ()


@pytest.mark.parametrize(
    ("speed", "sessions", "said"),
    [
        (0.98, 3, "torch.compile (default) is 0.980x [0.980, 0.980] as fast as none: not worth it"),
        (1.20, 3, "as fast as none: faster, once it is compiled"),
        (1.00, 3, "as fast as none: no difference that this could show"),
        (1.20, 1, "[no interval] as fast as none: more sessions would tell whether it is worth it"),
    ],
)
def test_a_compiler_is_worth_it_or_not(tmp_path, speed, sessions, said):
    compiled = case_of("p16-d12-h768-r512", "compile")
    (sentence,) = sentences(study_of(tmp_path, {CENTRE: RATE, compiled: speed * RATE}, sessions), 3)
    assert said in sentence
    assert sentence.endswith("(p16-d12-h768-r512).")


@pytest.mark.parametrize(
    ("speed", "cache", "said"),
    [
        (
            2.0,
            {"cache_misses": 1},
            ": worth it after 1,168 calls; compiling took 20.0 s with a cold cache",
        ),
        (
            0.5,
            {"cache_hits": 1},
            ": not worth it; compiling took 20.0 s with a warm cache, 0 graph breaks",
        ),
        (
            0.5,
            {"graph_breaks": {"a print": 1}, "recompiles": 2},
            "; compiling took 20.0 s, 1 graph break, 2 recompiles",
        ),
    ],
)
def test_compiling_has_a_price(tmp_path, speed, cache, said):
    compiled = case_of("p16-d12-h768-r512", "compile")
    a_study_folder(tmp_path, [CENTRE])
    for number, seconds in enumerate((20.0, 3.0, 3.0), 1):
        cost = CompileCost(ready_in=seconds, in_compiler=seconds, graphs=1, **cache)
        keep_session(tmp_path, compiled, number, a_vit_run(compiled, number, rate=speed * RATE, compile_cost=cost))
    (sentence,) = sentences(a_vit_study(tmp_path), 3)
    assert said in sentence
    assert 20.0 / (1 - 1 / 2) / (CENTRE.flops / RATE) == pytest.approx(1168, abs=1), "so many calls at twice the speed"


def test_a_compiled_case_alone_is_beside_nothing(tmp_path):
    assert study_of(tmp_path, {case_of("p16-d12-h768-r512", "compile"): RATE}).findings == ()


@pytest.mark.parametrize(("gain", "shown"), [(1.02, ""), (1.0, ": no difference that this could show")])
def test_a_place_near_the_gpu_is_held_against_one_far_from_it(tmp_path, gain, shown):
    rates = {"local": (gain * RATE, 22e9), "remote": (RATE, 21e9), "interleaved": (gain * RATE, None)}
    for way, (rate, copied) in rates.items():
        case = case_of("p16-d12-h768-r512", way)
        for number in (1, 2, 3):
            run = a_vit_run(case, number, rate=rate)
            keep_session(tmp_path, case, number, run if copied is None else a_copy(run, case, copied))
    near, spread = sentences(a_vit_study(tmp_path), 4)
    assert near.startswith(f"local memory and processors bring {gain:.2f}x [")
    assert f"of remote ones; images are copied at 22.0 GB/s, against 21.0 GB/s{shown} (p16" in near
    assert "GB/s" not in spread
    assert spread.endswith("of local ones: no difference that this could show (p16-d12-h768-r512).")


def test_a_pipeline_s_designs_are_held_against_one_stage_after_the_other_and_the_processor(tmp_path):
    for way, rate in {
        "sync-cpu": RATE,
        "async-q2-cpu": 1.4 * RATE,
        "sync-gpu": 1.1 * RATE,
        "async-q2-gpu": RATE,
    }.items():
        case = case_of("p16-d12-h768-r512", way)
        figures = a_pipeline(case, case.flops / rate)
        a_study_folder(tmp_path, [case], rate=rate, pipeline=figures, peak_memory=None)
    overlapped, slowed, moved, lost = sentences(a_vit_study(tmp_path), 5)
    assert overlapped.startswith("queues of 2 bring 1.40x [")
    assert overlapped.endswith(
        "of one stage after the other (async-q2-cpu), and what limits it is inference (p16-d12-h768-r512)."
    )
    assert slowed.startswith("queues of 2 bring 0.909x [")
    assert moved.startswith("preprocessing on the GPU brings 1.10x [")
    assert "of that on the CPU (sync-gpu)" in moved
    assert lost.startswith("preprocessing on the GPU brings 0.714x [")
    case = a_vit_study(tmp_path).cases[0]
    assert case.bound_share == pytest.approx(0.9)
    assert case.copied is None


def test_the_same_files_give_the_same_summary(tmp_path):
    a_study_folder(tmp_path, [CENTRE, NARROW])
    assert a_vit_study(tmp_path) == a_vit_study(tmp_path)


def test_a_case_says_medians_and_nothing_where_nothing_was_measured(tmp_path):
    a_study_folder(tmp_path, [CENTRE], energy=None, latencies=(), peak_memory=None)
    (case,) = a_vit_study(tmp_path).cases
    assert case.seconds == pytest.approx(CENTRE.flops / RATE)
    assert (case.energy, case.latency, case.peak_memory) == (None, None, None)


def test_what_failed_last_is_said_and_what_was_mended_is_not(tmp_path):
    a_study_folder(tmp_path, [CENTRE])
    tried = [
        Attempt(test=CENTRE.test, session=1, seconds=3.0, failed="a flaw"),
        Attempt(test=CENTRE.test, session=1, seconds=3.0),
        Attempt(test=NARROW.test, session=1, failed="needs 61 GiB"),
    ]
    assert a_vit_study(tmp_path, attempts=tried).failed == {NARROW.test: "needs 61 GiB"}


def test_two_devices_are_no_study(tmp_path):
    a_study_folder(tmp_path, [CENTRE])
    other = msgspec.structs.replace(ENVIRONMENT, device=msgspec.structs.replace(ENVIRONMENT.device, name="NVIDIA L4"))
    keep_session(tmp_path, NARROW, 1, a_vit_run(NARROW, environment=other))
    with pytest.raises(FileError, match=r"is of another device or other software .* name .*NVIDIA L4"):
        a_vit_study(tmp_path)


def test_where_a_process_ran_is_no_version(tmp_path):
    a_study_folder(tmp_path, [CENTRE])
    far = msgspec.structs.replace(ENVIRONMENT, software={**ENVIRONMENT.software, "numa": "CPUs of node 1"})
    keep_session(tmp_path, NARROW, 1, a_vit_run(NARROW, environment=far))
    assert len(a_vit_study(tmp_path).cases) == 2


def test_two_versions_are_no_study(tmp_path):
    a_study_folder(tmp_path, [CENTRE])
    other = msgspec.structs.replace(ENVIRONMENT, software={**ENVIRONMENT.software, "torch": "2.16.0"})
    keep_session(tmp_path, NARROW, 1, a_vit_run(NARROW, environment=other))
    with pytest.raises(FileError, match="torch"):
        a_vit_study(tmp_path)


def test_a_file_of_another_case_than_its_name_says_is_refused(tmp_path):
    keep_session(tmp_path, CENTRE, 1, a_vit_run(NARROW))
    with pytest.raises(FileError, match=r"this run holds no .*h768.* Move it away: it is measured again"):
        a_vit_study(tmp_path)


def test_the_scale_is_read_off_the_files(tmp_path):
    assert scale_of([], []) is None
    a_study_folder(tmp_path, [case_of("p8-d2-h128-r64")])
    assert scale_of(raw_runs(tmp_path), []) == "smoke"
    assert scale_of([], [Attempt(test=CENTRE.test, session=1, failed="no")]) == "full"
    with pytest.raises(FileError, match="both the full and the smoke scale"):
        scale_of(raw_runs(tmp_path), [Attempt(test=CENTRE.test, session=1)])
    with pytest.raises(FileError, match=r"tests/a.py::test_b: is no case of a study"):
        scale_of([], [Attempt(test="tests/a.py::test_b", session=1)])
