"""The journal of a long run: what is whole stays, what is torn did not happen, and nobody else's is touched."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from scores import LAPTOP, PREFILL, a_head, a_journal, a_query, a_session, a_stretch

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.journal import open_journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "journal.jsonl"


def written(path, lines):
    with open_journal(path, lines[0]) as journal:
        for line in lines[1:]:
            journal.add(line)


def test_what_is_added_is_read_again(path):
    written(path, a_journal())
    with open_journal(path, a_head()) as journal:
        assert journal.lines == a_journal()
        assert journal.queries == 6
    assert path.read_bytes().count(b"\n") == len(a_journal())


@pytest.mark.parametrize("torn", [b'{"line":"query","run":1,"num', b"\0\0\0\0", b'{"line":"stretch","run":1}'])
def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(path, torn):
    written(path, [a_head(), a_session(), a_stretch(1), a_query(1, 1)])
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(torn)
    with open_journal(path, a_head()) as journal:
        assert journal.queries == 1
        journal.add(a_query(1, 2))
    assert path.read_bytes().startswith(whole + b'{"line":"query","run":1,"number":2')
    with open_journal(path, a_head()) as journal:
        assert journal.queries == 2


@pytest.mark.parametrize("length", [0, 1, 20, 100])
def test_a_head_that_was_being_written_is_written_again(path, length):
    written(path, [a_head()])
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    with open_journal(path, a_head()) as journal:
        assert journal.lines == [a_head()]
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("head", "differs"),
    [
        (a_head(model="text:gpt2"), "model text:phi-2 there, text:gpt2 here"),
        (a_head(queries=1000), "queries 3 there, 1000 here"),
        (a_head(prompts="chat.txt (sha256 1)", prompt_tokens=None), "prompts drawn there, chat.txt (sha256 1) here"),
        (a_head(prompts="chat.txt (sha256 1)", prompt_tokens=None), "prompt tokens 128 there, none here"),
        (a_head(device=LAPTOP), "device's kind cuda there, cpu here"),
        (a_head(device=LAPTOP), "device's cores none there, 2 here"),
        (a_head(software={"torch": "2.10"}), "torch 2.9 there, 2.10 here"),
        (a_head(software={}), "torch 2.9 there, none here"),
    ],
)
def test_the_journal_of_another_run_is_refused_and_left_as_it_is(path, head, differs):
    written(path, a_journal())
    with path.open("ab") as file:
        file.write(b'{"line":"que')
    before = path.read_bytes()
    with pytest.raises(FileError) as refused, open_journal(path, head):
        pass
    assert differs in str(refused.value)
    assert "It is left as it is. Give this run a folder of its own: --into DIR" in str(refused.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["something else", '{"line":"head"}\n', "\n", '{"format": "gpuperf-run"}'])
def test_another_file_is_no_journal(path, content):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(FileError, match="this is no journal of an energy score"), open_journal(path, a_head()):
        pass
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([a_head(), a_session(), a_head()], "line 3: the first line, and only that, is a head"),
        ([a_head(), a_query(1, 1), a_query(1, 1)], "line 3: query 1 of run 1 stands where query 2 of run 1 belongs"),
        ([a_head(), a_query(1, 2)], "line 2: query 2 of run 1 stands where query 1 of run 1 belongs"),
        (
            [a_head(), *(a_query(1, n) for n in (1, 2, 3)), a_query(1, 4)],
            "query 4 of run 1 stands where query 1 of run 2 belongs",
        ),
    ],
)
def test_lines_that_do_not_follow_each_other_are_refused(path, lines, what):
    written(path, lines)
    with pytest.raises(FileError, match=what), open_journal(path, a_head()):
        pass


def test_a_broken_line_in_the_middle_is_named(path):
    written(path, a_journal())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b'{"line":"query","run":0}\n', *lines[4:]]))
    with pytest.raises(FileError, match=r"line 5 cannot be read: .*Move the file away"), open_journal(path, a_head()):
        pass


def test_two_processes_at_once_are_refused(path):
    with open_journal(path, a_head()) as journal:
        journal.add(PREFILL)
        with pytest.raises(FileError, match="another process is at work on this journal"), open_journal(path, a_head()):
            pass
    with open_journal(path, a_head()) as journal:
        assert journal.lines == [a_head(), PREFILL]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO])
def test_a_file_system_without_locks_will_do_but_a_broken_one_will_not(path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    if number == errno.EIO:
        with pytest.raises(OSError, match="Input/output"), open_journal(path, a_head()):
            pass
    else:
        with open_journal(path, a_head()) as journal:
            assert journal.lines == [a_head()]


def test_a_folder_that_cannot_be_made_is_a_message(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FileError, match=r"cannot be written: .*Give another folder: --into DIR"),
        open_journal(tmp_path / "file" / "journal.jsonl", a_head()),
    ):
        pass


def test_a_full_disk_says_what_is_kept(path):
    with open_journal(path, a_head()) as journal:
        journal.add(a_query(1, 1))
        with Path("/dev/full").open("ab") as full:
            journal._file, kept = full, journal._file
            with pytest.raises(FileError, match=r"No space left on device\. 1 query is kept\. Make room"):
                journal.add(a_query(1, 2))
            journal._file = kept
            full.raw.close()
        assert journal.queries == 1
