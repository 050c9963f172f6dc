from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

import pytest

from corenas.errors import Stopped
from corenas.stopping import Stop

pytestmark = pytest.mark.abuse("signals and hang-ups")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_requests_and_each_later_one_interrupts(number: signal.Signals) -> None:
    with Stop().installed() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.reason == "interrupted"
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)


def test_signals_of_both_kinds_are_counted_together() -> None:
    with Stop().installed():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_before_are_put_back_also_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with suppress(ZeroDivisionError), Stop().installed():
        assert signal.getsignal(signal.SIGINT) != before[0]
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_signal_wakes_a_waiting_queue_at_once() -> None:
    queue: SimpleQueue[str] = SimpleQueue()
    with Stop().installed() as stop:
        stop.on_request(lambda: queue.put("woken"))
        timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        assert queue.get(timeout=30) == "woken"
        timer.join()


def test_installed_changes_nothing_in_another_thread() -> None:
    seen: list[object] = []

    def work() -> None:
        with Stop().installed() as stop:
            seen.extend([signal.getsignal(signal.SIGINT), stop.requested])

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, False]


def test_spent_time_budget_requests_a_stop() -> None:
    stop = Stop(0.05)
    remaining = stop.remaining()
    assert remaining is not None
    assert 0 < remaining <= 0.05
    assert not stop.requested
    time.sleep(0.06)
    assert stop.remaining() == 0
    assert stop.reason == "time budget"


def test_no_budget_has_no_end() -> None:
    assert Stop().remaining() is None
    assert Stop().reason is None


def test_first_reason_stays() -> None:
    stop = Stop(0)
    assert stop.requested
    stop.request("interrupted")
    assert stop.reason == "time budget"


def test_first_signal_after_the_time_budget_does_not_interrupt_the_saving() -> None:
    with Stop(0).installed() as stop:
        assert stop.requested
        signal.raise_signal(signal.SIGINT)
        assert stop.reason == "time budget"


def test_callbacks_are_called_once_each_and_a_late_one_at_once() -> None:
    stop, called = Stop(), []
    stop.on_request(lambda: called.append("early"))
    assert called == []
    stop.request("interrupted")
    stop.request("interrupted")
    assert called == ["early"]
    stop.on_request(lambda: called.append("late"))
    assert called == ["early", "late"]


def test_check_raises_only_when_a_stop_is_requested() -> None:
    stop = Stop()
    stop.check()
    stop.request("interrupted")
    with pytest.raises(Stopped, match="interrupted"):
        stop.check()


needs_hang_up = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")


@needs_hang_up
def test_hanging_up_often_is_one_request() -> None:
    with Stop().installed() as stop:
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        assert stop.reason == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@needs_hang_up
def test_hanging_up_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop().installed() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)
