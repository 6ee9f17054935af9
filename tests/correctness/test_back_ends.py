"""Every back end computes, in every precision, what its model computes; on inputs that hypothesis draws.

PARITY_EXAMPLES=200 pytest tests/correctness        draws as many inputs a pair instead of three, and others each time
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import lru_cache

import pytest
from drawn_inputs import drawn
from hypothesis import assume, given
from parity_grid import DEVICE, EXAMPLES, PAIRS
from small_net import small

from pytest_gpuperf.backends import opened, why_not
from pytest_gpuperf.models import load
from pytest_gpuperf.parity.networks import truth_of


@lru_cache(maxsize=1)  # the pairs of one model follow each other
def workload(model):
    return small() if model == "small" else load(model, "smoke")


@pytest.mark.parametrize(("model", "backend", "precision"), PAIRS)
def test_a_back_end_computes_what_its_model_computes(model, backend, precision):
    reason = why_not(backend, precision, DEVICE)
    if reason is not None:
        pytest.skip(reason)
    with ExitStack() as stack:

        @lru_cache
        def network(batch):
            ready = opened(workload(model), batch, backend=backend, precision=precision, device=DEVICE)
            return stack.enter_context(ready)

        # A back end that prepares for one batch takes long to.
        @EXAMPLES
        @given(drawn(batches=(1, 2, 3, 4) if backend == "eager" else (2,)))
        def agrees(inputs):
            images = inputs.of(workload(model))
            truth = truth_of(network(inputs.batch), images)
            assume(truth.representable)  # what is beyond fp16's range in exact arithmetic has no right answer in fp16
            found = truth.judge(network(inputs.batch)(*network(inputs.batch).fitted(images)))
            assert found.agrees, found.message

        agrees()
