"""A trace's report: the answer in the first line, and nothing that the trace does not know."""

from __future__ import annotations

import pytest
from analyses import GEMM, a_device, a_use, an_analysis, changed, steps

from pytest_gpuperf.records.trace_analysis import CopyTime, DeviceTime, Gap, KernelTime, StreamTime, Use
from pytest_gpuperf.reports.document import as_html, as_markdown, as_text
from pytest_gpuperf.reports.trace_answer import answer, remedies, title
from pytest_gpuperf.reports.trace_report import document, overview, summary

NOTHING = Use(seconds=0.0, compute=0.0, copy=0.0, both=0.0)


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def table(analysis, heading):
    """The rows below a heading."""
    shown = lines(as_text(document(analysis), 200))
    start = shown.index(heading) + 3  # an empty line, and the columns
    return shown[start : shown.index("", start)] if "" in shown[start:] else shown[start:]


def test_the_first_line_answers_the_question():
    (sentence,) = answer(an_analysis())
    assert sentence == (
        "cuda:0 computed 60% of 1.00 s, copied without computing 10% (100 ms) and was idle 30% (300 ms): 200 ms "
        "waiting for the host, 60.0 ms waiting for data, 30.0 ms after the host had waited for it, 10.0 ms for other "
        "causes."
    )
    assert title(an_analysis()) == "cuda:0 was idle 30% of 1.00 s: 200 ms waiting for the host"


def test_few_causes_are_all_named():
    (sentence,) = answer(an_analysis(a_device(idle={"launch": 0.2, "unknown": 0.1, "host": 0.0})))
    assert sentence.endswith("300 ms): 200 ms for launching, 100 ms for a cause that the trace does not tell.")


def test_idle_time_of_no_known_cause_is_only_counted():
    found = an_analysis(a_device(idle={}))
    assert answer(found)[0].endswith("and was idle 30% (300 ms).")
    assert title(found) == "cuda:0 was idle 30% of 1.00 s"


def test_a_device_that_never_waited_is_called_so():
    busy = an_analysis(a_device(use=a_use(compute=1.0, copy=0.1, both=0.1), idle={}))
    assert answer(busy) == ["cuda:0 computed 100% of 1.00 s and was never idle."]
    assert title(busy) == "cuda:0 was never idle in 1.00 s"
    assert remedies(busy) == [
        f"cuda:0: little waits here: what is left to gain is in the kernels, the longest first ({GEMM})."
    ]
    assert remedies(changed(busy, devices=(a_device(use=a_use(1.0, 1.0, 0.1, 0.1), idle={}, top=()),)))[0].endswith(
        "first."
    )


def test_what_a_trace_does_not_know_is_unknown_and_never_nothing():
    empty = an_analysis(devices=(), steps=())
    assert answer(empty) == [
        "Whether a device was idle is unknown: this trace holds no kernel, no copy and no operator."
    ]
    assert remedies(empty)[0].startswith("Record the calls themselves")
    assert title(empty) == "Whether a device was idle is unknown"
    shown = as_text(document(empty), 120)
    assert "0%" not in shown
    assert "Use of each device" not in shown


def test_a_trace_of_the_processor_says_nothing_of_a_gpu():
    processor = an_analysis(a_device("cpu", name=None))
    (sentence,) = answer(processor)
    assert sentence.startswith("cpu ran torch's operators for 60% of 1.00 s; there is no GPU work in this trace")
    assert sentence.endswith("whether a GPU was idle is unknown.")
    assert "ProfilerActivity.CUDA" in remedies(processor)[0]
    assert title(processor) == "cpu ran torch's operators for 60% of 1.00 s"
    shown = lines(as_text(document(processor), 120))
    assert {"Operators that took most", "Threads", "thread operators copies busy share", "cpu the processor"} <= set(
        shown
    )
    assert "device time computed copied of it hidden exposed idle operators" in shown


def test_a_device_whose_work_took_no_time_has_no_shares():
    instant = an_analysis(
        a_device(use=NOTHING, kernel_seconds=0.0, copies=(CopyTime(kind="fill", count=1, seconds=0.0, bytes=4),)),
        steps=(changed(steps([0.1])[0], uses={"cuda:0": NOTHING}),),
    )
    assert answer(instant) == ["How much cuda:0 computed is unknown: what it did took no time in this trace."]
    assert "%" not in "".join(table(instant, "Use of each device"))
    assert table(instant, "Copies") == ["fill 1 4 B 0 s unknown -"]
    assert table(instant, "Kernels that took most")[0] == f"{GEMM} 10 500 ms unknown 50.0 ms 450 ms"
    assert "ProfilerStep#0 0 s 0 s cuda:0 unknown unknown unknown" in lines(as_text(document(instant), 120))
    assert remedies(instant)[0].startswith("cuda:0: little waits here")
    assert title(instant).startswith("How much cuda:0 computed is unknown")


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        ("host", "CUDA graphs"),
        ("synchronisation", ".item()"),
        ("data", "num_workers"),
        ("launch", "torch.compile fuses them"),
        ("dependency", "the events between the streams"),
        ("unknown", "ProfilerActivity.CPU beside CUDA"),
    ],
)
def test_the_largest_cause_has_a_remedy(cause, remedy):
    (line,) = remedies(an_analysis(a_device(idle={"host": 0.02, "data": 0.02} | {cause: 0.25})))
    assert remedy in line


def test_what_the_host_did_in_the_longest_gap_is_named_with_the_remedy():
    gaps = a_device().gaps
    assert remedies(an_analysis())[0].endswith("In a gap of 50.0 ms the host was in aten::nonzero.")
    silent = tuple(changed(gap, host=None) for gap in gaps)
    assert remedies(an_analysis(a_device(gaps=silent)))[0].endswith("a larger batch).")


@pytest.mark.parametrize(("host", "where"), [("aten::conv2d", ", in which the host was in aten::conv2d."), (None, ".")])
def test_one_long_gap_is_a_first_call_rather_than_slow_launching(host, where):
    gap = Gap(start=0.1, seconds=0.2, cause="host", before="fill", after="conv", host=host)
    (line,) = remedies(an_analysis(a_device(idle={"host": 0.25}, gaps=(gap,))))
    assert line.startswith(f"cuda:0: one gap of 200 ms is 80% of that{where} A first call loads libraries")


def test_copies_that_nothing_hides_have_a_remedy_too():
    copying = a_use(compute=0.5, copy=0.45, both=0.0)
    (line,) = remedies(an_analysis(a_device(use=copying, idle={"host": 0.05})))
    assert "non_blocking=True" in line
    assert line.endswith("4 copies here went from or to memory that is not pinned.")
    (line,) = remedies(an_analysis(a_device(use=copying, idle={"host": 0.05}, copies=())))
    assert line.endswith("a stream of their own.")


def test_devices_with_one_cause_share_its_remedy():
    two = an_analysis(a_device(gaps=()), a_device("cuda:1", gaps=()), a_device("cuda:2", idle={"data": 0.3}))
    first, second = remedies(two)
    assert first.startswith("cuda:0, cuda:1: Python launches")
    assert second.startswith("cuda:2: the input")
    assert len(answer(two)) == 3


def test_every_table_has_its_figures():
    found = an_analysis()
    assert table(found, "Use of each device") == ["cuda:0 1.00 s 60% 150 ms 33% 10% 30% 30"]
    assert table(found, "Idle, by cause")[0] == (
        "host 200 ms (20%) the host ran other code, and had not launched the next work yet"
    )
    assert table(found, "Longest gaps")[1] == "500 ms 30.0 ms data elementwise relu fp32 -> host to device unknown"
    assert table(found, "Copies") == [
        "host to device 10 3.00 GiB 120 ms 25.0 GiB/s 4",
        "fill 2 unknown 30.0 ms unknown -",
    ]
    assert table(found, "Streams") == ["stream 7 30 0 600 ms 60%", "stream 13 0 12 150 ms 15%"]
    assert table(found, "Kernels that took most")[1] == "elementwise relu fp32 20 150 ms 23% 7.50 ms unknown"
    assert table(found, "Critical path")[0] == "compute 600 ms 60%"
    assert "recorded by torch.profiler" in table(found, "The trace")
    assert "cuda:0 NVIDIA L40S" in table(found, "The trace")


def test_what_is_not_there_has_no_table():
    bare = DeviceTime(device="cuda:0", start=0.0, use=a_use(copy=0.0, both=0.0), kernels=1, kernel_seconds=0.6, idle={})
    found = an_analysis(bare, steps=(), tool="Nsight Systems", schema="3.11.0", notes=("it ends too early",))
    shown = lines(as_text(document(found), 120))
    assert {"Steps", "Longest gaps", "Copies", "Critical path", "Idle, by cause"}.isdisjoint(shown)
    assert "cuda:0 1.00 s 60% 0 s - 0% 40% 1" in shown
    assert "recorded by Nsight Systems, schema 3.11.0" in shown
    assert "cuda:0 its name is unknown" in shown
    assert "- To be known: it ends too early" in shown


def test_devices_stand_beside_each_other_and_then_one_by_one():
    two = an_analysis(a_device(), a_device("cuda:1", idle={"host": 0.1, "dependency": 0.2}))
    assert table(two, "Idle, by cause")[-1].startswith("dependency - 200 ms (20%)")
    assert table(two, "cuda:1: Critical path")[0] == "compute 600 ms 60%"


def test_of_many_steps_the_slowest_are_shown_in_order_of_time():
    found = an_analysis(steps=steps([0.3, *[0.1] * 20, 0.2, 0.1]))
    shown = lines(as_text(document(found), 120))
    assert "- 23 steps: the median takes 100 ms, the slowest 300 ms (ProfilerStep#0); the 10 slowest are shown" in shown
    rows = [line.split()[0] for line in shown if line.startswith("ProfilerStep#")]
    assert (len(rows), rows[0]) == (10, "ProfilerStep#0")
    assert "ProfilerStep#21" in rows
    assert rows == sorted(rows, key=lambda name: int(name.partition("#")[2]))


def test_one_step_has_no_median():
    assert "- 1 step: the slowest 100 ms (ProfilerStep#0)" in lines(
        as_text(document(an_analysis(steps=steps([0.1]))), 99)
    )


def test_a_little_is_not_nothing():
    quiet = an_analysis(a_device(use=a_use(1.0, 1e-5, 0.0, 0.0)))
    assert answer(quiet)[0].startswith("cuda:0 computed <0.1% of 1.00 s and was idle 100%")


def test_steps_in_which_no_device_worked_are_no_steps():
    idle = an_analysis(steps=(changed(steps([0.1])[0], uses={}),))
    assert "Steps" not in lines(as_text(document(idle), 120))
    assert lines(as_text(overview([idle]), 120))[-1].endswith(" -")


def test_rows_beyond_the_shown_are_counted():
    many = tuple(StreamTime(stream=f"stream {n}", kernels=1, copies=0, busy=n / 100) for n in range(13))
    gaps = tuple(Gap(start=n, seconds=0.01, cause="host", before="a", after="b") for n in range(13))
    top = tuple(KernelTime(name=f"k{n}", count=1, seconds=0.01) for n in range(13))
    found = an_analysis(a_device(streams=many, gaps=gaps, top=top))
    shown = lines(as_text(document(found), 120))
    assert "- 3 more streams, each of them less busy" in shown
    assert len(table(found, "Streams")) == len(table(found, "Longest gaps")) == 10
    assert len(table(found, "Kernels that took most")) == 10


def test_many_traces_have_a_line_a_device():
    quiet = an_analysis(
        a_device("cuda:1", use=a_use(compute=1.0, copy=0.0, both=0.0), idle={}), file="b.json", steps=()
    )
    copying = an_analysis(a_device(use=a_use(copy=0.4), idle={}), file="c.json")
    shown = lines(as_text(overview([an_analysis(), quiet, copying, an_analysis(devices=(), file="d.json")]), 160))
    assert shown[0] == "4 traces"
    assert shown[3:] == [
        "step.json.gz cuda:0 1.00 s 60% 10% 30% host 20% 100 ms",
        "b.json cuda:1 1.00 s 100% 0% 0% - -",
        "c.json cuda:0 1.00 s 60% 35% 5% copies 35% 100 ms",
        "d.json unknown - - - - - -",
    ]


def test_names_are_text_in_every_shape():
    evil = an_analysis(a_device(top=(KernelTime(name="<b>|x\x1b[31m", count=1, seconds=0.1),)), file="<i>.json")
    html, markdown, text = as_html(document(evil)), as_markdown(document(evil)), as_text(summary(evil), 80)
    assert "<b>" not in html
    assert "<i>" not in html
    assert "\x1b" not in html + markdown + text
    assert "<b>" not in markdown
