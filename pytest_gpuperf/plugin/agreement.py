"""The fixture `parity`, and --gpuperf-parity-first: wrong numbers need not be timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gpuperf.errors import UsageError

if TYPE_CHECKING:
    from pytest_gpuperf.parity import Parity, Tensor


class ParityCheck:
    """Fails a test whose candidate does not compute what its reference computes."""

    def __call__(
        self,
        candidate: Callable[..., Any],
        reference: Callable[..., Any],
        *inputs: Tensor,
        precision: str = "fp32",
        exact: Callable[..., Any] | None = None,
    ) -> Parity:
        """Hold `candidate` and `reference` on `inputs` against the reference in fp64.

        The inputs and the reference are fp32; the candidate gets the inputs in its precision's type: fp32, tf32, fp16,
        bf16, autocast_fp16, autocast_bf16, int8. `exact` computes in fp64 what a reference that cannot does in fp32.
        """
        __tracebackhide__ = True
        from pytest_gpuperf.parity import compare

        try:
            found = compare(candidate, reference, *inputs, precision=precision, exact=exact)
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        if not found.agrees:
            pytest.fail(found.message, pytrace=False)
        return found


def refuse_wrong(fn: object) -> None:
    """Fail the test of a network that does not compute what its model computes; others have no reference to ask."""
    __tracebackhide__ = True
    if "pytest_gpuperf.backends" not in sys.modules:  # then nobody opened a network
        return
    from pytest_gpuperf.backends import Opened
    from pytest_gpuperf.parity import compare_network

    if not isinstance(fn, Opened):
        return
    found = compare_network(fn)
    if not found.agrees:
        pytest.fail(
            f"Not timed (--gpuperf-parity-first): {fn.backend} runs {fn.workload.name} in {fn.precision.name} wrongly, "
            f"so how fast it is says nothing.\n{found.message}\n"
            f"To time it all the same, leave --gpuperf-parity-first out.",
            pytrace=False,
        )
