"""The files of a study of vision transformers: a summary knows what it was made from, and a kill loses one line."""

from __future__ import annotations

import pytest
from vit_runs import a_study_folder, a_vit_study, case_of

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.vit_study import ATTEMPTS, SUMMARY, Attempt
from pytest_gpuperf.records.vit_study_files import (
    attempts_of,
    earlier_differences,
    is_summary,
    keep_attempt,
    raw_path,
    raw_runs,
    read_summary,
    write_summary,
)

CENTRE, NARROW = case_of("p16-d12-h768-r512"), case_of("p16-d12-h384-r512")
TRIED = Attempt(test=CENTRE.test, session=1, seconds=12.5)
FAILED = Attempt(test=NARROW.test, session=1, failed="needs 61 GiB")


@pytest.fixture
def folder(tmp_path):
    a_study_folder(tmp_path, [CENTRE, NARROW])
    keep_attempt(tmp_path, TRIED)
    write_summary(tmp_path, a_vit_study(tmp_path))
    return tmp_path


def test_a_summary_is_read_again_as_it_was_written(folder):
    text = (folder / SUMMARY).read_text()
    study = read_summary(folder / SUMMARY)
    assert [case.test for case in study.cases] == [CENTRE.test, NARROW.test]
    assert {source.file for source in study.sources} == {
        "attempts.jsonl",
        *(f"raw/{case.parameters}.{n}.json" for case in (CENTRE, NARROW) for n in (1, 2, 3)),
    }
    write_summary(folder, study)
    assert (folder / SUMMARY).read_text() == text
    assert earlier_differences(folder) is None


def test_a_summary_of_other_files_is_refused_and_they_are_named(folder):
    raw_path(folder, CENTRE, 1).unlink()
    changed = raw_path(folder, CENTRE, 2)
    changed.write_text(changed.read_text().replace("2026-11-28", "2026-11-27"))
    a_study_folder(folder, [case_of("p8-d12-h768-r512")], 1)
    with pytest.raises(FileError) as refused:
        read_summary(folder / SUMMARY)
    assert (
        "raw/p16-d12-h768-r512-bf16-eager-8.1.json is missing, raw/p16-d12-h768-r512-bf16-eager-8.2.json has changed, "
        "raw/p8-d12-h768-r512-bf16-eager-8.1.json is new. Make it again from them: gpuperf study vit --budget 0 --into"
    ) in str(refused.value)
    assert earlier_differences(folder).startswith("raw/p16-d12-h768-r512-bf16-eager-8.1.json is missing")


def test_many_differences_are_counted(folder):
    for case in (CENTRE, NARROW):
        for number in (1, 2, 3):
            raw_path(folder, case, number).unlink()
    assert earlier_differences(folder).endswith("is missing, and 1 more")


def test_what_was_tried_is_a_source_too(folder):
    keep_attempt(folder, FAILED)
    assert earlier_differences(folder) == "attempts.jsonl has changed"
    (folder / ATTEMPTS).unlink()
    assert earlier_differences(folder) == "attempts.jsonl is missing"


def test_no_summary_differs_from_nothing_and_a_broken_one_says_so(tmp_path):
    assert earlier_differences(tmp_path) is None
    (tmp_path / SUMMARY).write_text("{}")
    assert "is no summary of a study" in earlier_differences(tmp_path)


def test_a_summary_is_told_from_other_files(folder):
    assert is_summary((folder / SUMMARY).read_bytes())
    assert not is_summary(raw_path(folder, CENTRE, 1).read_bytes())
    assert not any(map(is_summary, (b"", b"[]", b"\xff", b"[" * 100_000)))


def test_attempts_are_lines_and_one_that_is_not_whole_is_dropped(tmp_path):
    assert attempts_of(tmp_path) == []
    keep_attempt(tmp_path, TRIED)
    with (tmp_path / ATTEMPTS).open("ab") as file:
        file.write(b'{"test": "half')
    assert attempts_of(tmp_path) == [TRIED]
    keep_attempt(tmp_path, FAILED)
    assert attempts_of(tmp_path) == [TRIED, FAILED]


@pytest.mark.parametrize("line", ['{"test": 5}', "nonsense", '{"test": "a", "session": 0}'])
def test_a_line_that_is_none_is_refused_with_its_number(tmp_path, line):
    keep_attempt(tmp_path, TRIED)
    with (tmp_path / ATTEMPTS).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(FileError, match="line 2 cannot be read"):
        attempts_of(tmp_path)


def test_attempts_that_cannot_be_kept_are_one_clear_message(tmp_path):
    (tmp_path / ATTEMPTS).mkdir()
    with pytest.raises(FileError, match=r"cannot be written: Is a directory. Make room"):
        keep_attempt(tmp_path, TRIED)


def test_a_raw_file_of_another_name_is_refused(folder):
    raw_path(folder, CENTRE, 1).rename(folder / "raw" / "mine.json")
    with pytest.raises(FileError, match=r"raw files are named CASE.N.json, and this is not. Move it away."):
        raw_runs(folder)
