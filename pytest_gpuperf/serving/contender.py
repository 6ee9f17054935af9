"""A server under study, and how to have it for a while."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pytest_gpuperf.serving.server import Server

Say = Callable[[str], object]


@dataclass(frozen=True)
class Contender:
    """One that is compared with others."""

    name: str
    open: Callable[[], AbstractContextManager[Server]]
