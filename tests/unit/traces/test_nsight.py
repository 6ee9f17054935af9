"""SQLite exports of Nsight Systems, of several versions; and files that are none."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import PROCESS, TABLES, Chrome, Nsight

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.trace_analysis import TraceAnalysis
from pytest_gpuperf.traces.analyse import analyse

WAIT = "cudaStreamSynchronize_v3020"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.sqlite"


def fill(export: Nsight) -> Nsight:
    """Two steps of a copy, a kernel and a wait."""
    export.row("TARGET_INFO_GPU", id=0, name="NVIDIA L40S", vmId=1)
    for step in range(2):
        at = 1000 * step
        export.call("cudaMemcpyAsync_v3020", at, 8, correlation=10 * step + 1)
        export.copy(at + 5, 100, correlation=10 * step + 1)
        export.call("cudaLaunchKernel_v7000", at + 20, 5, correlation=10 * step + 2)
        export.kernel(at + 107, 300, correlation=10 * step + 2, name="void gemm<float>(float*)")
        export.call(WAIT, at + 30, 385)
        export.range(f"step {step}", at, 900)
    export.activity("MEMSET", 1500, 10, correlation=0, bytes=512)
    export.range("a mark", 5, None)
    return export


@pytest.mark.parametrize("schema", TABLES)
def test_every_known_version_gives_the_same_answer(path, schema):
    analysis = fill(Nsight(path, schema)).analysed()
    (device,) = analysis.devices
    assert (analysis.tool, analysis.schema, analysis.file) == ("Nsight Systems", schema, "report.sqlite")
    assert analysis.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (device.device, device.kernels) == ("cuda:0", 2)
    assert (device.use.compute, device.use.copy, device.use.both) == pytest.approx((600e-6, 210e-6, 0))
    assert [(t.name, t.count) for t in device.top] == [("gemm fp32", 2)]
    assert {c.kind: (c.count, c.bytes, c.pageable) for c in device.copies} == {
        "host to device": (2, 2000, 2),
        "fill": (1, 512, 0),
    }
    assert [s.name for s in analysis.steps] == ["step 0", "step 1"]
    assert analysis.steps[0].uses["cuda:0"].compute == pytest.approx(300e-6)
    gap = device.gaps[0]  # of 598, before which the host had waited for 377
    assert (gap.cause, gap.host) == ("synchronisation", WAIT)


def test_versions_before_schemas_had_one_are_read_with_a_note(path):
    notes = fill(Nsight(path, None)).analysed().notes
    assert notes[0] == "This export does not name the version of its schema: it is of an old nsys."


def test_a_version_in_three_parts_is_one(path):
    export = fill(Nsight(path))
    export.database.execute("delete from META_DATA_EXPORT")
    for part, value in zip(("MAJOR", "MINOR", "MICRO"), "302", strict=True):
        export.row("META_DATA_EXPORT", name=f"EXPORT_SCHEMA_VERSION_{part}", value=value)
    assert export.analysed().schema == "3.0.2"


def test_the_same_run_in_both_formats_gives_the_same_times(path, tmp_path):
    export, trace = Nsight(path), Chrome()
    for number in range(1, 6):
        at = 100 * number
        export.call("cudaLaunchKernel", at, 5, correlation=number)
        trace.launch(at, correlation=number)
        for to in (export, trace):
            to.kernel(at + 10, 60 + 10 * number, correlation=number)
    (a,), (b,) = export.analysed().devices, trace.analysed(tmp_path).devices
    assert (a.use, a.idle, a.path, a.gaps, a.streams) == (b.use, b.idle, b.path, b.gaps, b.streams)


def test_a_kernel_without_a_long_name_has_its_short_one(path):
    export = Nsight(path)
    export.kernel(0, 5, name="flash_fwd", demangledName=None)
    export.kernel(10, 5, demangledName=None, shortName=None)
    assert {t.name for t in export.analysed().devices[0].top} == {"flas", "(no name)"}


def test_texts_of_ranges_may_stand_among_the_strings(path):
    export = fill(Nsight(path))
    for step in range(3):
        export.range(None, 10_000 + 2000 * step, 1900, textId=export.string("epoch"))
    export.range(None, 90_000, 10)
    analysis = export.analysed()
    assert [s.name for s in analysis.steps] == ["epoch"] * 3


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        ((2, 2, 0), "device to host"),
        ((8, 2, 2), "device to device"),
        ((10, 2, 2), "peer to peer"),
        ((11, 4, 4), "host to device"),
        ((99, 99, None), "Memcpy of an unknown kind (Unknown -> Unknown)"),
    ],
)
def test_copies_have_a_direction(path, kinds, name):
    export = Nsight(path)
    export.copy(0, 5, copyKind=kinds[0], ends=kinds[1:])
    (copies,) = export.analysed().devices[0].copies
    assert (copies.kind, copies.pageable) == (name, int(kinds == (2, 2, 0)))


def test_processes_have_their_own_numbers_for_cards_streams_and_calls(path):
    export = Nsight(path)
    for gpu, process in enumerate((100, 200)):
        export.row("TARGET_INFO_GPU", id=gpu, name=f"card {gpu}", vmId=1)
        export.row("TARGET_INFO_CUDA_DEVICE", gpuId=gpu, cudaId=0, pid=process)
        for number in (1, 2):
            at = 1000 * gpu + 100 * number
            export.call("cudaLaunchKernel", at, 5, correlation=number, process=process)
            export.kernel(at + 10, 20, correlation=number, process=process)
    first, second = export.analysed().devices
    assert [(d.device, d.name, d.kernels) for d in (first, second)] == [
        ("cuda:0", "card 0", 2),
        ("cuda:1", "card 1", 2),
    ]
    assert set(first.idle) == set(second.idle) == {"host"}


def test_graphs_that_were_recorded_as_a_whole_are_kernels_with_a_note(path):
    export = Nsight(path)
    export.database.execute(
        "create table CUPTI_ACTIVITY_KIND_GRAPH_TRACE (start INT, end INT, deviceId INT, streamId INT, graphId INT,"
        " correlationId INT, globalPid INT)"
    )
    export.activity("GRAPH_TRACE", 0, 500, correlation=1, graphId=42)
    analysis = export.analysed()
    assert [t.name for t in analysis.devices[0].top] == ["CUDA graph 42"]
    assert analysis.notes[0].startswith("CUDA graphs were recorded as a whole")


def test_an_export_without_work_says_that_it_is_unknown(path):
    export = Nsight(path)
    for table in ("KERNEL", "MEMCPY", "MEMSET", "RUNTIME"):
        export.database.execute(f"drop table CUPTI_ACTIVITY_KIND_{table}")
    export.database.execute("drop table NVTX_EVENTS")
    analysis = export.analysed()
    assert analysis.devices == ()
    assert "which is not idle" in analysis.notes[0]


def test_cells_that_hold_something_else_do_no_harm(path):
    export = fill(Nsight(path))
    export.kernel(5000, 5, deviceId="zero", streamId=None, globalPid="x")
    export.row("CUPTI_ACTIVITY_KIND_KERNEL", start=5, end=-(2**63), deviceId=0)
    export.row("CUPTI_ACTIVITY_KIND_KERNEL", start=2**62, end=2**62 + 5, deviceId=0)
    analysis = export.analysed()
    assert analysis.devices[0].kernels == 3
    assert analysis.notes[:1] == ("2 things with an impossible time are left out.",)


def raised(path) -> str:
    with pytest.raises(FileError) as error:
        analyse(path)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("version", ["9.1.0", "next"])
def test_an_unknown_schema_is_refused(path, version):
    export = fill(Nsight(path))
    export.database.execute("update META_DATA_EXPORT set value = ?", (version,))
    export.database.commit()
    assert f"has schema {version} of Nsight Systems. gpuperf knows 1 to 3" in raised(path)


@pytest.mark.parametrize("column", ["start", "end"])
def test_a_table_without_its_columns_is_an_unknown_schema(path, column):
    export = Nsight(path)
    export.database.execute(f'alter table CUPTI_ACTIVITY_KIND_KERNEL rename column "{column}" to other')
    export.database.commit()
    found = raised(path)
    assert f"CUPTI_ACTIVITY_KIND_KERNEL has no column {column}, so gpuperf does not know this schema (3.11.7)" in found
    assert "nsys export --type sqlite --force-overwrite true report.nsys-rep" in found


def test_kernels_without_names_are_an_unknown_schema(path):
    export = Nsight(path, None)
    for column in ("demangledName", "shortName"):
        export.database.execute(f"alter table CUPTI_ACTIVITY_KIND_KERNEL rename column {column} to {column}2")
    export.database.commit()
    assert "has no column demangledName and no shortName" in raised(path)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("create table bookmarks (id INT)", "is an SQLite file of another tool: its tables are bookmarks."),
        ("; ".join(f"create table t{n} (id INT)" for n in range(8)), "t0, t1, t2, t3, t4, t5 and others."),
        ("create table a (id INT); drop table a", "it has no tables"),
        ("create table StringTable (id INT); create table CUPTI_ACTIVITY_KIND_KERNEL (id INT)", "is of nvprof"),
    ],
)
def test_a_file_of_another_tool_says_so(path, statement, says):
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statement)
    assert says in raised(path)


def test_a_locked_file_says_so(path, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.traces.export._PATIENCE", 0.01)
    export = fill(Nsight(path))
    export.database.commit()
    export.database.execute("begin exclusive")
    assert "is locked: another program writes it" in raised(path)
    export.database.close()


def test_it_is_only_read(path):
    export = fill(Nsight(path))
    export.database.commit()
    export.database.close()
    before = path.read_bytes()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        analyse(path)
        assert [p.name for p in path.parent.iterdir()] == [path.name]
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == before


def outcome(path) -> TraceAnalysis | str:
    """An analysis, or the message."""
    try:
        return analyse(path).analysis
    except FileError as error:
        return str(error)


@given(st.integers(0, 30_000), st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_a_damaged_file_is_analysed_or_refused(tmp_path_factory, place, value):
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.sqlite"
    if not whole.exists():
        export = fill(Nsight(whole))
        export.database.commit()
        export.database.close()
    raw = bytearray(whole.read_bytes())
    damaged = folder / "damaged.sqlite"
    if value % 2:
        raw = raw[: place % len(raw)]
    else:
        raw[place % len(raw)] = value
    damaged.write_bytes(bytes(raw))
    found = outcome(damaged)
    assert str(damaged) in found if isinstance(found, str) else found.file == damaged.name


def test_a_large_export_says_how_far_it_is(path, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.traces.export.SAY_EVERY", -1.0)
    export, lines = fill(Nsight(path)), []
    export.database.commit()
    analyse(path, lines.append)
    assert lines[0] == "report.sqlite: 2 rows of CUPTI_ACTIVITY_KIND_KERNEL read"


def test_threads_have_their_own_numbers(path):
    export = fill(Nsight(path))
    export.range("other", 0, 10, globalTid=PROCESS << 24 | 7)
    export.database.commit()
    assert set(analyse(path).trace.threads) == {str(PROCESS), "7"}
