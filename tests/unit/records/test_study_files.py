"""A study's files: what is written is read again, and nothing else is."""

from __future__ import annotations

import pytest
from loads import a_study, a_text_point, a_text_study

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.study_files import read_study, read_text_study, write_study


def test_what_is_written_is_read_again(tmp_path):
    file = tmp_path / "new" / "study.json"
    write_study(file, a_study())
    kept, text = read_study(file), file.read_text()
    assert kept.rounds[0].visits[3].load.wire == a_study().rounds[0].visits[3].load.wire
    write_study(file, kept)
    assert (read_study(file), file.read_text()) == (kept, text)
    assert '"format": "gpuperf-serving"' in file.read_text()


def test_it_says_which_device_did_the_work():
    assert not a_study().unvalidated
    assert a_study(proven=False).unvalidated


def test_of_a_language_model_too(tmp_path):
    file = tmp_path / "study.json"
    study = a_text_study(
        "vllm", [[a_text_point(1.0, 0.25, within=0.5, looked_at=300), a_text_point(2.0)]], slo={"ttft": 0.5}
    )
    write_study(file, study)
    kept, text = read_text_study(file), file.read_text()
    assert (kept.contender, kept.asked, kept.evidence) == (study.contender, study.asked, study.evidence)
    assert [(p.at, p.within, p.looked_at) for p in kept.rounds[0].points] == [(1, 0.5, 300), (2, None, None)]
    assert kept.rounds[0].points[0].load.ttft.p50 == study.rounds[0].points[0].load.ttft.p50
    write_study(file, kept)
    assert (read_text_study(file), file.read_text()) == (kept, text)
    assert '"format": "gpuperf-text-serving"' in text


def test_a_study_of_tensors_is_none_of_a_language_model(tmp_path):
    file = tmp_path / "study.json"
    write_study(file, a_study())
    with pytest.raises(FileError, match=r"no study of a language model's server: .* gpuperf serve-study text"):
        read_text_study(file)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "gpuperf-run", "version": 1}', "[1, 2]"])
def test_other_files_are_no_study(tmp_path, content):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(FileError, match="no study of a serving back end"):
        read_study(file)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileError, match="there is no such file"):
        read_study(tmp_path / "none.json")


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        write_study(tmp_path / "file" / "study.json", a_study())
