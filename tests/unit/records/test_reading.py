"""Every unusable file ends in one clear error, and stays as it was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from examples import a_baseline, a_run

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records import files
from pytest_gpuperf.records.files import read_baseline, read_run, write_baseline, write_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "t4.json"
    write_baseline(path, a_baseline(0, 1))
    return path


def error_of(path: Path, read: Callable[[Path], object] = read_baseline) -> str:
    before = path.read_bytes()
    with pytest.raises(FileError) as caught:
        read(path)
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert path.read_bytes() == before
    return message


def edited(path: Path, *keys: str | int, value: object) -> None:
    tree: Any = json.loads(path.read_text())
    node = tree
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(tree))


NO_FIGURE = 'cases[0].series[0].medians[0] (case "tests/test_x.py::test[a]"): this is no finite number within range'
SERIES = ("cases", 1, "series", 0)
IN_SERIES = 'cases[1].series[0].{} (case "tests/test_x.py::test[b]"): '


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        ((*SERIES, "medians", 1), -0.5, IN_SERIES.format("medians[1]") + "Expected `float` >= 1e-15"),
        ((*SERIES, "medians", 0), 0, IN_SERIES.format("medians[0]") + "Expected `float` >= 1e-15"),
        ((*SERIES, "medians", 0), 1e7, IN_SERIES.format("medians[0]") + "Expected `float` <= 1000000.0"),
        ((*SERIES, "medians", 0), 10**400, IN_SERIES.format("medians[0]") + "this is no finite number within range"),
        ((*SERIES, "medians", 0), "1.5 ms", IN_SERIES.format("medians[0]") + "Expected `float`, got `str`"),
        ((*SERIES, "medians", 0), None, IN_SERIES.format("medians[0]") + "Expected `float`, got `null`"),
        ((*SERIES, "medians"), [], IN_SERIES.format("medians") + "Expected `array` of length >= 1"),
        ((*SERIES, "medians"), [0.1] * 17, IN_SERIES.format("medians") + "Expected `array` of length <= 16"),
        ((*SERIES, "count"), 1.5, IN_SERIES.format("count") + "Expected `int`, got `float`"),
        ((*SERIES, "count"), 0, IN_SERIES.format("count") + "Expected `int` >= 1"),
        ((*SERIES, "count"), 2**80, IN_SERIES.format("count") + "this is no finite number"),
        ((*SERIES, "peak_memory"), -1, IN_SERIES.format("peak_memory") + "Expected `int` >= 0"),
        ((*SERIES, "unit"), "ms", "cases[1].series[0] (case"),
        ((*SERIES, "unit"), "ms", "unknown field `unit`"),
        ((*SERIES, "session"), "s9", IN_SERIES.format("session") + 'the session "s9" is not in sessions'),
        ((*SERIES, "session"), "s1", 'the session "s1" stands twice in this case'),
        (("cases", 1, "id"), "tests/test_x.py::test[a]", "cases[1].id (case"),
        (("cases", 1, "id"), "tests/test_x.py::test[a]", "this case stands twice, first at cases[0]"),
        (("cases", 1, "id"), 7, "cases[1].id (case 7): Expected `str`, got `int`"),
        (("cases", 1), 7, "cases[1]: Expected `object`, got `int`"),
        (("cases",), {}, "cases: Expected `array`, got `object`"),
        (("cases", 1, "waiver"), {"until": "2026-02-30", "reason": "x"}, "cases[1].waiver.until (case"),
        (("sessions", 1, "id"), "s0", 'sessions[1].id: the session "s0" stands twice'),
        (("sessions", 0, "time"), "2026-13-01T00:00:00Z", "sessions[0].time: "),
        (("sessions", 0, "time"), "yesterday", "sessions[0].time: Expected `str` matching"),
        (("sessions", 0, "canaries", "copy", 0), -1, "sessions[0].canaries[...][0]: Expected `float` >= 1e-15"),
        (("sessions", 0, "canaries", "copy"), [], "sessions[0].canaries[...]: Expected `array` of length >= 1"),
        ((*SERIES, "medians", 0), 1e-320, IN_SERIES.format("medians[0]") + "Expected `float` >= 1e-15"),
        (("environment", "device", "kind"), "tpu", "environment.device.kind: Invalid enum value 'tpu'"),
        (("environment", "device", "power_limit"), -70, "environment.device.power_limit: Expected `float` > 0.0"),
        (("provenance",), "guessed", "provenance: Invalid enum value 'guessed'"),
        (
            ("version",),
            4,
            "written by a newer gpuperf (format version 4); this one reads up to version 3. Upgrade",
        ),
        (("version",), 4, "pip install -U pytest-gpuperf"),
        (("version",), 0, "expected a format version from 1 to 3, found 0"),
        (("version",), "1", 'expected a format version from 1 to 3, found "1"'),
        (("version",), True, "expected a format version from 1 to 3, found true"),
        (("format",), "x" * 300, 'this is no file of gpuperf: expected "gpuperf-baseline", found "xxx'),
        (("format",), None, "found null"),
    ],
)
def test_a_value_that_does_not_belong_there(
    path: Path, keys: tuple[str | int, ...], value: object, message: str
) -> None:
    edited(path, *keys, value=value)
    assert message in error_of(path)


def test_a_rule_of_a_metric_that_there_is_not(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    write_run(run, a_run(0))
    edited(run, "cases", 0, "rule", value={"tolerance": {"speed": 0.05}})
    assert '"speed" is no metric; the metrics are throughput,' in error_of(run, read_run)


def test_every_message_says_what_to_do_next(path: Path, tmp_path: Path) -> None:
    edited(path, "provenance", value="guessed")
    message = error_of(path)
    assert f"git checkout -- {path}" in message
    assert f"gpuperf calibrate --sessions 5 --into {path}" in message
    run = tmp_path / "run.json"
    write_run(run, a_run(0))
    edited(run, "cases", 0, "measurements", value=[])
    assert f"pytest --gpuperf-save {run}" in error_of(run, read_run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: b"", "the file is empty"),
        (lambda raw: b" \n", "the file is empty"),
        (lambda raw: raw[:700], "the file is truncated: it ends after 700 bytes"),
        (lambda raw: raw[:-20] + b"}}}}", "JSON is malformed: expected ',' or ']' at line 35, column"),
        (lambda raw: b"\x7fELF" + bytes(range(256)) * 9, "no UTF-8 text at line 2, column 118"),
        (lambda raw: raw.replace(b"test[b]", b"test[\xff]"), "no UTF-8 text at line 2"),
        (lambda raw: raw.replace(b"Tesla", b"\\ud800"), "JSON is malformed: "),
        (lambda raw: raw.replace(b"0.01,", b"NaN,", 1), NO_FIGURE),
        (lambda raw: raw.replace(b"0.01,", b"Infinity,", 1), NO_FIGURE),
        (lambda raw: raw.replace(b"0.01,", b"1e999,", 1), NO_FIGURE),
        (lambda raw: raw.replace(b"0.01,", b"9" * 5000 + b",", 1), NO_FIGURE),
        (lambda raw: raw.replace(b"0.01,", b"NaN,", 1)[:-9], "JSON is malformed: invalid character at line "),
        (lambda raw: b"[" * 1_000_000, "this is not a JSON object"),
        (lambda raw: b'{"a":' * 1_000_000, "it is nested too deeply"),
        (lambda raw: b'{"format": 1e999, ]', "Number out of range. "),
        (lambda raw: b"[1, 2]", "this is not a JSON object"),
        (lambda raw: b"{}", "this is no file of gpuperf"),
        (lambda raw: b"\x00" * 50_000_000, "this is not a JSON object"),
        (lambda raw: b"x" * 50_000_000, "this is not a JSON object"),
        (
            lambda raw: raw.replace(b'"id": "s0"', b'"id": "s0", "id": "s0"'),
            'sessions[0].id: the key "id" stands twice',
        ),
        (lambda raw: raw.replace(b'"count": 32', b'"count": 1, "count": 32', 1), "cases[0].series[0].count: the key"),
        (
            lambda raw: raw.replace(b'"torch"', b'"a b": "1", "a b": "2", "torch"'),
            'environment.software["a b"]: the key',
        ),
        (lambda raw: raw.replace(b'"version": 3', b'"version": 3, "version": 3'), "the key"),
        # The strict decoder stops in the first list; a loose one keeps the last, which has no such case.
        (lambda raw: raw.replace(b'"cases": [', b'"cases": [{"id": 1}], "cases": [], "x": [', 1), "cases[0]"),
        # An escaped colon in a kept value would make up for the colon of a dropped key.
        (
            lambda raw: raw.replace(b'"Tesla T4"', b'"T\\u003a4", "name": "T\\u003a4"'),
            "environment.device.name: the key",
        ),
    ],
)
def test_text_that_is_no_good(path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    raw = path.read_bytes()
    changed = change(raw)
    assert changed != raw
    path.write_bytes(changed)
    assert message in error_of(path)


def test_defaults_that_are_spelt_out_are_no_duplicates(path: Path) -> None:
    before = read_baseline(path)
    edited(path, "cases", 0, "waiver", value=None)
    edited(path, "source", value=None)
    assert read_baseline(path) == before


def test_escaped_colons_are_no_duplicates(path: Path) -> None:
    before = read_baseline(path)
    path.write_bytes(path.read_bytes().replace(b"py::test", b"py\\u003a:test"))
    assert read_baseline(path) == before


def test_a_case_without_an_id_has_its_path_alone(path: Path) -> None:
    tree = json.loads(path.read_text())
    del tree["cases"][1]["id"]
    path.write_text(json.dumps(tree))
    assert "cases[1]: Object missing required field `id`" in error_of(path)


def test_a_run_is_no_baseline_and_a_baseline_no_run(path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    write_run(run, a_run(0))
    message = error_of(run)
    assert "this is a run file, and a baseline is needed here" in message
    assert f"promote it with: gpuperf accept {run}" in message.lower()
    message = error_of(path, read_run)
    assert "this is a baseline file, and a run is needed here" in message
    assert "pytest --gpuperf-save" in message


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("blocks",), [], "measurements[0].blocks (case"),
        (("blocks",), [[]], "measurements[0].blocks[0] (case"),
        (("session",), "s7", 'measurements[0].session (case "tests/test_x.py::test[a]"): the session "s7" is not in'),
        (("interval",), -1, "measurements[0].interval (case"),
    ],
)
def test_a_run_is_read_as_strictly(tmp_path: Path, keys: tuple[str], value: object, message: str) -> None:
    run = tmp_path / "run.json"
    write_run(run, a_run(0))
    edited(run, "cases", 0, "measurements", 0, *keys, value=value)
    assert message in error_of(run, read_run)


@pytest.mark.parametrize("read", [read_run, read_baseline])
def test_what_is_no_file(tmp_path: Path, read: Callable[[object], object]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, what in {
        tmp_path: "this is a folder",
        tmp_path / "missing.json": "there is no such file. Record it with: ",
        pipe: "this is no regular file",
        Path("/dev/zero"): "this is no regular file",
        loop: "cannot be read: ",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
        Path("a\x00b"): "cannot be read: embedded null",
    }.items():
        with pytest.raises(FileError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert what in str(caught.value)


def test_a_file_of_absurd_size_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(files.LARGEST + 1)
    with pytest.raises(FileError, match="larger than 1024 MiB"):
        read_baseline(path)


@pytest.fixture
def without_rights() -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65534)
    yield
    os.seteuid(uid)


def test_a_file_one_may_not_read(path: Path, without_rights: None) -> None:
    if os.geteuid() != 65534:
        path.chmod(0)
    with pytest.raises(FileError, match=r"cannot be read: Permission denied\. Check the path and its permissions"):
        read_baseline(path)


def test_garbage_fails_sooner_than_a_good_file_is_read(path: Path, tmp_path: Path) -> None:
    """The work on 50 MB of garbage ends at its first byte."""
    garbage = tmp_path / "garbage.json"
    garbage.write_bytes(os.urandom(1) * 0 + b"\x93NUMPY" + bytes(50_000_000))
    write_baseline(path, a_baseline(0, 1, cases=tuple(str(n) for n in range(20_000))))
    start = time.process_time()
    read_baseline(path)
    good = time.process_time() - start
    start = time.process_time()
    with pytest.raises(FileError):
        read_baseline(garbage)
    assert time.process_time() - start < 5 * good


def test_a_command_in_a_message_can_be_pasted_whatever_the_path(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"--into '[^']*/my baseline.json'"):
        read_baseline(tmp_path / "my baseline.json")
    (tmp_path / "my baseline.json").write_text("{")
    with pytest.raises(FileError, match=r"git checkout -- '[^']*/my baseline.json'"):
        read_baseline(tmp_path / "my baseline.json")
