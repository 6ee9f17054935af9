"""Files that are broken, or no traces at all: an analysis with a note, or an error that says what to type."""

from __future__ import annotations

import gzip
import json
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import Chrome

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.trace_analysis import TraceAnalysis
from pytest_gpuperf.traces.analyse import analyse
from pytest_gpuperf.traces.unpacked import Unpacked


def good(kernels: int = 5) -> Chrome:
    trace = Chrome()
    for number in range(1, kernels + 1):
        trace.launch(100 * number, correlation=number)
        trace.kernel(100 * number + 20, 50, correlation=number, name=f"kernel_{number}")
    return trace


def analysed(folder, raw: bytes, name: str = "trace.json") -> TraceAnalysis:
    path = folder / name
    path.write_bytes(raw)
    return analyse(path).analysis


def test_json_that_ends_in_the_middle_is_read_as_far_as_it_goes(tmp_path):
    raw = good().text().encode()
    analysis = analysed(tmp_path, raw[: raw.index(b"kernel_4")])
    assert analysis.notes == (
        "Not all of it is here: the file ends in the middle. 7 events were read, up to 0.000305 s.",
    )
    assert analysis.devices[0].kernels == 3


def test_a_truncated_gzip_is_read_as_far_as_it_goes(tmp_path):
    trace = good()
    draw = random.Random(1)  # incompressible names, so that half of the gzip holds half of the events
    for number in range(400):
        trace.kernel(1000 + 10 * number, 5, name=f"kernel_{draw.getrandbits(300):x}")
    packed = gzip.compress(trace.text().encode())
    analysis = analysed(tmp_path, packed[: len(packed) // 2], "trace.json.gz")
    assert analysis.notes[0].startswith("Not all of it is here: the gzip ends in the middle. ")
    assert 50 < analysis.devices[0].kernels < 350


def test_a_damaged_gzip_is_read_up_to_the_damage(tmp_path):
    trace = good(1)
    draw = random.Random(1)
    for number in range(20_000):
        trace.kernel(1000 + 10 * number, 5, name=f"kernel_{draw.getrandbits(60):x}")
    packed = bytearray(gzip.compress(trace.text().encode(), 1))
    packed[-8:] = b"\0" * 8
    analysis = analysed(tmp_path, bytes(packed), "trace.json.gz")
    assert "Not all of it is here: the gzip is damaged" in analysis.notes[0]
    assert analysis.devices[0].kernels > 19_000


def test_a_gzip_in_several_parts_is_one_text(tmp_path):
    raw = good().text().encode()
    packed = gzip.compress(raw[:500]) + gzip.compress(raw[500:])
    assert analysed(tmp_path, packed, "trace.json").devices[0].kernels == 5
    path = tmp_path / "trace.json"
    assert b"".join(Unpacked(path).chunks()) == raw


def test_events_out_of_order_are_put_in_order(tmp_path):
    trace = good()
    in_order = trace.analysed(tmp_path).devices
    random.Random(2).shuffle(trace.events)
    assert trace.analysed(tmp_path).devices == in_order


def test_negative_durations_are_left_out_and_counted(tmp_path):
    trace = good()
    trace.kernel(700, -5)
    trace.call("cudaMalloc", 700, -1)
    analysis = trace.analysed(tmp_path)
    assert analysis.notes == ("2 things with a negative duration are left out.",)
    assert analysis.devices[0].kernels == 5


def test_impossible_times_are_left_out_and_counted(tmp_path):
    trace = good()
    trace.kernel(1e300, 5)
    trace.kernel(700, 1e300)
    trace.kernel(-1e18, 5)
    analysis = trace.analysed(tmp_path)
    assert analysis.notes == ("3 things with an impossible time are left out.",)
    assert analysis.seconds == pytest.approx(470e-6)


def test_ids_and_times_may_be_texts_and_need_more_than_64_bits(tmp_path):
    trace = Chrome()
    for number, text in enumerate((2**63 + 5, 2**64 + 5, 2**70 + 5)):
        trace.launch(100 * number, correlation=str(text))
        trace.kernel(100 * number + 20, 90, correlation=text if number else str(text))
    for event in trace.events:
        event |= {"ts": str(event["ts"]), "dur": str(event["dur"]), "tid": str(event["tid"])}
    (device,) = trace.analysed(tmp_path).devices
    assert set(device.idle) == {"launch"}  # each is found by its id: it was launched before the gap began
    assert [s.stream for s in device.streams] == ["7"]


def test_an_event_without_arguments_is_placed_by_its_ids(tmp_path):
    trace = good(1)
    for event in trace.events:
        del event["args"]
    (device,) = trace.analysed(tmp_path).devices
    assert (device.device, device.streams[0].stream, device.kernels) == ("cuda:0", "7", 1)


def test_events_that_cannot_be_read_are_counted(tmp_path):
    trace = good()
    trace.events.append({"ph": "X", "cat": "kernel", "name": 5, "ts": 1.0, "dur": 1.0})
    assert trace.analysed(tmp_path).notes == ("1 events could not be read, and are left out.",)


def test_events_without_a_name_a_time_or_an_end_do_no_harm(tmp_path):
    trace = good()
    trace.events += [
        {"ph": "X", "cat": "kernel", "ts": 1.0, "dur": 1.0, "pid": 0, "tid": 7},
        {"ph": "X", "cat": "kernel", "name": "k", "dur": 1.0, "pid": 0, "tid": 7},
        {"ph": "B", "cat": "kernel", "name": "k", "ts": 1.0, "pid": 0, "tid": 7},
    ]
    (device,) = trace.analysed(tmp_path).devices
    assert device.kernels == 6
    assert "(no name)" in {t.name for t in device.top}


def test_a_head_that_cannot_be_read_costs_only_names(tmp_path):
    raw = good().text(deviceProperties=[{"id": "x"}]).encode()
    (device,) = analysed(tmp_path, raw).devices
    assert (device.name, device.kernels) == (None, 5)


def test_no_kernels_and_no_operators_is_unknown_and_not_idle(tmp_path):
    trace = Chrome()
    trace.call("cudaMalloc", 0, 10)
    analysis = trace.analysed(tmp_path)
    assert analysis.devices == ()
    assert analysis.notes == (
        "It holds no kernel, no copy and no operator: what a device did is unknown, which is not idle.",
    )


def test_a_trace_of_another_program_says_what_it_holds(tmp_path):
    events = [{"ph": "X", "cat": c, "name": "n", "ts": 1, "dur": 1} for c in ("blink", "v8", *"abcdefg")]
    analysis = analysed(tmp_path, json.dumps(events).encode())
    assert analysis.notes[0] == (
        "None of its 9 events is torch.profiler's: its categories are a, b, blink, c, d, e, f, g and others."
    )


def test_a_program_with_very_many_names_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.traces.gathering._NAMES", 10)
    (device,) = good(40).analysed(tmp_path).devices
    assert {t.name: t.count for t in device.top}["(one of too many names)"] == 29


def test_a_long_name_is_shortened(tmp_path):
    trace = good()
    trace.range("x" * 500, 0, 5000)
    trace.operator("y" * 500, 150, 70)
    (device,) = trace.analysed(tmp_path).devices
    assert all(len(gap.host or "") <= 200 for gap in device.gaps)


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("t.json", b"", "is empty: the profiler was ended before it wrote"),
        ("t.json", b"{}", "is JSON, but no trace: it has no keys."),
        ("t.json", b'{"a": 1}', "is JSON, but no trace: it has the keys a."),
        ("t.json", json.dumps(dict.fromkeys("abcdefgh")).encode(), "it has the keys a, b, c, d, e, f and others."),
        ("t.json", b'{"format": "gpuperf-run", "version": 1}', "it is a run of gpuperf's own."),
        ("t.json", b'{"schema": "1.0.1", "nodes": []}', "it looks like an execution trace of torch"),
        ("t.json", b"[1, 2, 3]", "it holds an array without events"),
        ("t.json", b"[]", "it holds an array without events"),
        ("t.json", b"7", "it holds a single value"),
        ("t.json", b'{"schemaVersion": 1, "deviceP', "its JSON does not end"),
        ("t.json", b"<html>", "is no JSON. gpuperf reads torch.profiler's Chrome traces"),
        ("t.json", '{"traceEvents": []}'.encode("utf-16"), "Type: iconv -f UTF-16 -t UTF-8"),
        ("t.json", '{"traceEvents": []}'.encode("utf-16-be"), "Type: iconv -f UTF-16 -t UTF-8"),
        ("t.json", b"\x7fELF\0\0\0", "is binary, and neither a gzip nor an SQLite file"),
        ("t.json", b"PK\x03\x04rest", "is compressed (a zip archive). Type: unzip"),
        ("t.json.zst", b"\x28\xb5\x2f\xfdrest", "is compressed (zstd). Type: zstd -d"),
        ("t.json.gz", gzip.compress(b""), "is empty"),
        ("t.json.gz", gzip.compress(b'{"a": "b"}')[:12], "the gzip ends in the middle, before the first event"),
        ("t.nsys-rep", b"\x01\x02", "Type: nsys export --type sqlite"),
        ("t.qdrep", b"\x01\x02", "Type: nsys export --type sqlite"),
        ("t.qdstrm", b"\x01\x02", "is a raw stream of Nsight Systems"),
    ],
)
def test_a_file_that_is_no_trace_says_what_it_is(tmp_path, name, raw, says):
    with pytest.raises(FileError) as raised:
        analysed(tmp_path, raw, name)
    assert says in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / name))


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    with pytest.raises(FileError, match="No such file or directory"):
        analyse(tmp_path / "none.json")
    with pytest.raises(FileError, match="is a folder: name the traces in it"):
        analyse(tmp_path)


def outcome(folder, raw: bytes) -> TraceAnalysis | str:
    """An analysis, or the message."""
    try:
        return analysed(folder, raw, "outcome.json")
    except FileError as error:
        return str(error)


@cache
def whole() -> bytes:
    trace = good(4)
    trace.copy(600, 5, name="Memcpy DtoH (Device -> Pageable)")
    trace.range("ProfilerStep#1", 0, 600)
    trace.operator('aten::add "x" {', 0, 600)
    return trace.text().encode()


@given(st.integers(0, len(whole())), st.booleans())
@settings(max_examples=150, deadline=None)
def test_wherever_a_trace_is_cut_there_is_an_analysis_with_a_note_or_a_clear_error(tmp_path_factory, at, packed):
    raw = gzip.compress(whole()) if packed else whole()
    at = min(at, len(raw) - 1)
    found = outcome(tmp_path_factory.getbasetemp(), raw[:at])
    assert "outcome.json" in found if isinstance(found, str) else found.notes[0].startswith("Not all of it is here")


@given(st.lists(st.tuples(st.integers(0, len(whole()) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_bytes_are_wrong_there_is_an_analysis_or_a_clear_error(tmp_path_factory, changes):
    raw = bytearray(whole())
    for place, value in changes:
        raw[place] = value
    found = outcome(tmp_path_factory.getbasetemp(), bytes(raw))
    assert "outcome.json" in found if isinstance(found, str) else found.file == "outcome.json"


def test_a_large_file_says_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.traces.unpacked.SAY_EVERY", -1.0)
    path, lines = tmp_path / "trace.json", []
    path.write_text(good().text())
    analyse(path, lines.append)
    assert lines == ["trace.json: 100% of 0 MB read"]
