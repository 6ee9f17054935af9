"""One writer at a time, and a wait that can be given up."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_gpuperf.records.files import locked


class GivenUp(BaseException):
    pass


def test_who_comes_second_waits_and_may_give_up(tmp_path: Path) -> None:
    def give_up(*_: object) -> None:
        raise GivenUp

    target = tmp_path / "t4.json"
    handler = signal.signal(signal.SIGALRM, give_up)
    try:
        with locked(target):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(GivenUp), locked(target):
                pytest.fail("two hold the lock")
            assert target.with_name(".t4.json.lock").exists()  # still held by the first
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert list(tmp_path.iterdir()) == []
    with locked(target):
        pass


def test_who_waits_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "t4.json"
    with locked(target):
        handler = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(GivenUp))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(GivenUp), locked(target):
            pytest.fail("two hold the lock")
        signal.signal(signal.SIGALRM, handler)
    assert "gpuperf: waiting for another process that writes" in capsys.readouterr().err


def test_who_waited_locks_the_file_that_stands_there_and_not_the_one_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "t4.json"
    flock, waits, stood = fcntl.flock, threading.Event(), []

    def told(fd: int, how: int) -> None:
        if not how & fcntl.LOCK_NB:
            waits.set()
        flock(fd, how)

    def second() -> None:
        with locked(target):
            stood.append(target.with_name(".t4.json.lock").exists())

    waiting = threading.Thread(target=second)
    with locked(target):
        monkeypatch.setattr(fcntl, "flock", told)
        waiting.start()
        assert waits.wait(20)
    waiting.join(20)
    assert stood == [True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with locked(tmp_path / "t4.json"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_another_trouble_of_the_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"), locked(tmp_path / "t4.json"):
        pass


def refusing(number: int) -> Callable[..., None]:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock
