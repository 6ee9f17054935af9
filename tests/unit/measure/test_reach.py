"""What is found behind a call."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from pytest_gpuperf.measure.find_tensors import devices_of, find_tensors, kind_of

MODEL = torch.nn.Linear(4, 4)  # 20 parameters of 4 bytes
ARRAY = np.zeros(8)


def global_model(x: object) -> object:
    return MODEL(x)


class Server:
    """Holds a model, as people write it."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(4, 4)
        self.name = "server"

    def infer(self, x: object) -> object:
        return self.model(x)


@pytest.mark.parametrize(
    "workload",
    [
        MODEL,
        MODEL.forward,
        functools.partial(MODEL, torch.ones(1)),
        lambda: MODEL,
        global_model,
        Server().infer,
        [{"a": (MODEL,)}],
        functools.wraps(global_model)(lambda: MODEL),
    ],
)
def test_parameters_are_found(workload: object) -> None:
    assert find_tensors(workload).parameters == {"cpu": 80}
    assert find_tensors(workload).parameter_bytes == 80


def test_closures_are_looked_into() -> None:
    server = Server()
    x = torch.ones(3)
    reached = find_tensors(lambda: server.infer(x))
    assert reached.parameters == {"cpu": 80}
    assert reached.tensors == {"cpu": 12}


def test_a_cell_that_is_not_filled_yet_holds_nothing() -> None:
    def call() -> object:
        return later

    assert find_tensors(call).tensors == {}
    later = ARRAY
    assert find_tensors(call).tensors == {"cpu": 64}


def test_shared_parameters_count_once() -> None:
    assert find_tensors([MODEL, torch.nn.Sequential(MODEL)]).parameters == {"cpu": 80}


def test_another_device_is_another_place() -> None:
    there = torch.nn.Linear(4, 4, device="meta")
    assert find_tensors([MODEL, there]).parameters == {"cpu": 80, "meta": 80}
    assert kind_of(SimpleNamespace(device="cuda:1")) == "cuda"


def test_arrays_of_numpy_are_on_the_processor() -> None:
    assert devices_of({"logits": [ARRAY]}) == {"cpu": 64}
    assert devices_of(None) == {}
    assert devices_of("text") == {}


def test_things_with_every_attribute_are_no_tensors() -> None:
    assert find_tensors(Mock()).tensors == {}


def test_depth_and_cycles_end() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert find_tensors(loop).tensors == {}
    deep: object = ARRAY
    for _ in range(10):
        deep = [deep]
    assert find_tensors(deep).tensors == {}


@dataclass(frozen=True)
class Plan:
    wanted: str = "CUDAExecutionProvider"
    operators: tuple[()] = ()
    elsewhere: tuple[()] = ()


class Session:
    placement = Plan()


def test_a_back_end_tells_its_placement() -> None:
    assert find_tensors(Session()).placement == Plan()
    assert find_tensors(SimpleNamespace(placement="left")).placement is None


class Wrapping:
    """Holds the model as it was, and runs a copy of it."""

    def __init__(self) -> None:
        self.original = torch.nn.Linear(4, 4, device="meta")
        self.run = MODEL

    @property
    def __wrapped__(self) -> object:
        return self.run


def test_what_says_what_it_runs_is_believed() -> None:
    assert find_tensors(Wrapping()).parameters == {"cpu": 80}
