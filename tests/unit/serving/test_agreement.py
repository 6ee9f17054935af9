"""A server that computes something else than its model is refused, however fast it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scripted_server import MODEL, WIDTH, scripted

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.models import Built, Workload
from pytest_gpuperf.serving.check_answers import answers_of, check_of, inputs_of, refuse_wrong_numbers
from pytest_gpuperf.serving.load_server import LoadPlan, load_server

PLAN = LoadPlan(concurrency=1, requests=5, window_seconds=0.01, budget=0.0, processes=1)


class Times(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


class Here:
    """A process that is this one."""

    pid = 0

    def alive(self):
        return True

    def log_tail(self, lines=25):
        return ""


def workload(factor):
    built = Built(Times(factor), lambda batch, generator: (torch.randn(batch, WIDTH, generator=generator),))
    return Workload(MODEL, "smoke", built)


def load(handle, factor):
    model = workload(factor)
    inputs = inputs_of(model, 2)
    return load_server(handle, inputs, PLAN, check=check_of(handle, model, inputs)).load


def test_the_first_answer_is_held_against_the_model():
    with scripted() as (_, handle):
        local = replace(handle, process=Here())
        assert load(local, 2.0).requests
        with pytest.raises(ServerError, match="does not compute what its model 'doubler' does"):
            load(local, 3.0)


def test_a_remote_server_may_have_other_weights():
    with scripted() as (_, handle):
        assert load(handle, 3.0).requests


def test_what_is_not_a_number_does_not_agree():
    with scripted() as (_, handle), pytest.raises(ServerError, match="differs by nan"):
        refuse_wrong_numbers(handle, [np.full((1, WIDTH), np.nan)], [np.ones((1, WIDTH))])


@pytest.mark.parametrize("given", [[np.ones((1, 3))], [], [np.ones((1, WIDTH))] * 2])
def test_arrays_of_another_shape_or_number_do_not_agree(given):
    with scripted() as (_, handle), pytest.raises(ServerError, match="arrays are of the shapes"):
        refuse_wrong_numbers(handle, given, [np.ones((1, WIDTH))])


def test_several_outputs_are_several_arrays():
    model = workload(2.0)
    model.module.forward = lambda x: (x, 3 * x)
    one, three = answers_of(model, inputs_of(model, 2))
    assert one.shape == (1, WIDTH)
    assert np.allclose(three, 3 * one)
