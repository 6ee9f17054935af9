"""Opening a card, and failing to: torch.cuda stands in for itself, on a card of 2 GHz in virtual time."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch

from pytest_gpuperf.device import cuda
from pytest_gpuperf.errors import DeviceError

HERTZ = 2e9


class Card:
    """Two cards, whose spin kernel advances the time."""

    def __init__(self) -> None:
        self.now = 0.0  # seconds
        self.current = 0

    def get_device_properties(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(
            name="Simulated",
            total_memory=2**34,
            major=9,
            minor=0,
            uuid=f"aaaa-{index}",
            pci_domain_id=0,
            pci_bus_id=0x1B,
            pci_device_id=0,
        )

    def set_device(self, index: int) -> None:
        self.current = index

    def sleep(self, cycles: int) -> None:
        self.now += cycles / HERTZ

    def event(self, *, enable_timing: bool) -> Event:
        assert enable_timing
        return Event(self)


class Event:
    def __init__(self, card: Card) -> None:
        self.card = card
        self.at = 0.0

    def record(self) -> None:
        self.at = self.card.now

    def synchronize(self) -> None: ...

    def elapsed_time(self, end: Event) -> float:
        return (end.at - self.at) * 1e3


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    stands_in = {
        "device_count": lambda: 2,
        "current_device": lambda: card.current,
        "set_device": card.set_device,
        "get_device_properties": card.get_device_properties,
        "synchronize": lambda _: None,
        "Event": card.event,
        "_sleep": card.sleep,
        "memory_allocated": lambda index: 100 + index,
    }
    for name, does in stands_in.items():
        monkeypatch.setattr(torch.cuda, name, does, raising=False)
    return card


def test_a_card_is_opened(card: Card) -> None:
    opened = cuda.open_card(1)
    assert (opened.index, card.current) == (1, 1)
    assert (opened.device.name, opened.device.memory, opened.device.capability) == ("Simulated", 2**34, "9.0")
    assert (opened.uuid, opened.pci) == ("aaaa-1", "00000000:1B:00.0")
    assert opened.memory.allocated() == 101
    assert cuda.open_card(None).index == 1, "the current one"
    assert opened.clock.name == "cuda-event"


def test_the_spin_kernel_lasts_as_long_as_it_is_told(card: Card) -> None:
    driver = cuda._TorchDriver(0)
    before = card.now
    driver.spin(1e-3)
    assert card.now - before == pytest.approx(1e-3)


def test_a_card_that_is_not_there_lists_those_that_are(card: Card) -> None:
    with pytest.raises(DeviceError, match=r"cuda:2: torch sees 2 CUDA device\(s\).*nvidia-smi -L"):
        cuda.open_card(2)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might be",
            (
                r"GPU 1 cannot be opened: CUDA error: CUDA-capable device\(s\) is/are busy or unavailable\. "
                r"Its compute mode lets one process in, and another one uses it\. See which: nvidia-smi\. "
                r"To measure on the processor: pytest --gpuperf-device cpu, or --device cpu of a gpuperf command\.$"
            ),
        ),
        ("CUDA error: out of memory", r"out of memory\. Other processes hold its memory\. See which: nvidia-smi\."),
        ("CUDA error: system not yet initialized", r"system not yet initialized\. See what is wrong: nvidia-smi\."),
    ],
)
def test_a_card_that_cannot_be_opened_says_why(
    card: Card, monkeypatch: pytest.MonkeyPatch, said: str, message: str
) -> None:
    def refuse(_: int) -> None:
        raise getattr(torch, "AcceleratorError", RuntimeError)(said)  # since torch 2.8

    monkeypatch.setattr(torch.cuda, "set_device", refuse)
    with pytest.raises(DeviceError, match=message):
        cuda.open_card(1)


def test_what_torch_warns_of_ends_no_session_whose_warnings_are_errors(
    card: Card, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def old(index: int) -> SimpleNamespace:
        warnings.warn("Found GPU0 which is of compute capability (CC) 5.0.", UserWarning, stacklevel=1)
        return card.get_device_properties(index)

    monkeypatch.setattr(torch.cuda, "get_device_properties", old)
    warnings.simplefilter("error")
    assert cuda.open_card(0).index == 0
    assert "compute capability" in str(recwarn.pop(UserWarning).message)


def test_a_driver_that_is_too_old_is_a_reason_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch behaves: counting devices warns and finds none, and starting CUDA raises."""
    too_old = "The NVIDIA driver on your system is too old (found version 11040).\nPlease update your GPU driver."

    def available() -> bool:
        warnings.warn(f"CUDA initialization: {too_old}", UserWarning, stacklevel=1)
        return False

    def start() -> None:
        raise RuntimeError(too_old)

    monkeypatch.setattr(torch.cuda, "is_available", available)
    monkeypatch.setattr(torch.cuda, "init", start)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("error")
        reason = cuda._why_torch_sees_none()
    assert [str(warning.message).startswith("CUDA initialization") for warning in seen] == [True]
    assert reason is not None
    assert reason.endswith("driver on your system is too old (found version 11040). See what is wrong: nvidia-smi.")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    with pytest.warns(UserWarning, match="too old"):
        assert "sees no CUDA device" in str(cuda._why_torch_sees_none())
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.warns(UserWarning, match="too old"):
        assert "not built for CUDA" in str(cuda._why_torch_sees_none())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert cuda._why_torch_sees_none() is None
