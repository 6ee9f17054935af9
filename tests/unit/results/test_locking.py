"""One writer at a time, and a wait that can be given up."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pytest_gpuperf.results.locking import locked


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
