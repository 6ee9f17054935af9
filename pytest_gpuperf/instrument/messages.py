"""What the process of some steps says to the one that started it: a line of JSON a message."""

from __future__ import annotations

import msgspec

from pytest_gpuperf.records.certificate import Row
from pytest_gpuperf.records.model import Environment


class DeviceFound(msgspec.Struct, frozen=True, tag=True):
    """What it runs on."""

    environment: Environment
    card: str | None


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The device that was asked for is not there."""

    why: str
    exit_code: int


class StepBegins(msgspec.Struct, frozen=True, tag=True):
    """A step."""

    step: str


class _Found(msgspec.Struct, frozen=True, tag=True):
    row: Row


Message = DeviceFound | Refused | StepBegins | Row


def encode(message: Message) -> bytes:
    """As a line."""
    envelope = _Found(message) if isinstance(message, Row) else message
    return msgspec.json.encode(envelope) + b"\n"


def decode(line: bytes) -> Message:
    """What a line says."""
    message = msgspec.json.decode(line, type=DeviceFound | Refused | StepBegins | _Found)
    return message.row if isinstance(message, _Found) else message
