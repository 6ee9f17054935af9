"""What a process of the load generator asks a language model's server: each prompt in its turn."""

from __future__ import annotations

from itertools import cycle

import msgspec

from pytest_gpuperf.serving.connection import Ask, Incoming
from pytest_gpuperf.serving.worker import Details, obey
from pytest_gpuperf.text.served.events import AnswerStream


def _asking(order: bytes) -> tuple[Ask, Details]:
    requests = cycle(msgspec.msgpack.decode(order, type=list[bytes]))

    def ask() -> tuple[bytes, Incoming]:
        return next(requests), AnswerStream()

    return ask, _details


def _details(answer: Incoming | None) -> bytes | None:
    return msgspec.msgpack.encode(answer.streamed) if isinstance(answer, AnswerStream) else None


if __name__ == "__main__":
    obey(_asking)
