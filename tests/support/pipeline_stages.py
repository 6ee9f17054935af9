"""Functions of stages that a worker process can import, and sources for them."""

from __future__ import annotations

import hashlib
import os
import signal
from threading import Event
from time import sleep

from pytest_gpuperf.pipeline import PipelineStage, run_pipeline

FAILS_AT = 40  # far enough in that all stages overlap


def same(item):
    return item


def rest(item):
    """Two milliseconds in which nobody holds the interpreter."""
    sleep(0.002)
    return item


def rest_longer(item):
    sleep(0.006)
    return item


def digest(item):
    """Work that lets the interpreter go, as decoders and torch do."""
    hashlib.sha256(bytes(200_000)).digest()
    return item


def add_pid(item):
    return item, os.getpid()


def fail(item):
    if item == FAILS_AT:
        raise ValueError("a bad item")
    return item


def end(item):
    return next(iter([])) if item == FAILS_AT else item


def block(item):
    if item == FAILS_AT:
        Event().wait()
    return item


def die(item):
    if item == FAILS_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def unpicklable(item):
    return (lambda: item) if item == FAILS_AT else item


def run(*stages, source=range(1_000_000), budget=0.2, **how):
    """Run stages that are given as (name, function) or as `PipelineStage`."""
    made = [stage if isinstance(stage, PipelineStage) else PipelineStage(*stage) for stage in stages]
    return run_pipeline(made, source, budget=budget, **how)
