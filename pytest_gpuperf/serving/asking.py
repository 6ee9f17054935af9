"""What a process of the load generator asks a model server: one request, again and again."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pytest_gpuperf.serving.connection import Ask, Incoming
from pytest_gpuperf.serving.exchange import Answer, Expected
from pytest_gpuperf.serving.worker import obey


class Repeated(Struct, frozen=True):
    """The request, and what every answer to it looks like."""

    request: bytes  # head and body
    expected: Expected


def _asking(order: bytes) -> tuple[Ask, None]:
    repeated = msgspec.msgpack.decode(order, type=Repeated)

    def ask() -> tuple[bytes, Incoming]:
        return repeated.request, Answer(repeated.expected, bytearray())

    return ask, None


if __name__ == "__main__":
    obey(_asking)
