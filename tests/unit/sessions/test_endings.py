"""Being asked to end is an exception, unless somebody else has a say in it."""

from __future__ import annotations

import signal
import threading

import pytest

from pytest_gpuperf.endings import AskedToEnd, ending_in_order, undisturbed

ASKED = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(params=ASKED, ids=lambda number: number.name)
def number(request):
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_what_would_kill_is_raised_and_is_deadly_again_afterwards(number):
    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(AskedToEnd, match=number.name), ending_in_order():
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)  # as nohup does
    with ending_in_order():
        signal.raise_signal(number)


def test_somebody_elses_handler_stays(number):
    heard = []
    signal.signal(number, lambda *_: heard.append(number))
    with ending_in_order():
        signal.raise_signal(number)
    assert heard == [number]


def test_one_within_the_other_is_one(number):
    def nested():
        with ending_in_order():
            with ending_in_order():
                pass
            signal.raise_signal(number)

    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(AskedToEnd):
        nested()


def test_what_must_not_be_disturbed_is_not(number):
    signal.signal(number, signal.SIG_DFL)
    with undisturbed():
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_in_another_thread_signals_are_not_touched():
    errors = []

    def work():
        try:
            with ending_in_order(), undisturbed():
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []
