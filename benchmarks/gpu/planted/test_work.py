"""Three cases, of which `share.py` says which are slowed, and by how much."""

import pytest
import share
import torch
import work

pytestmark = pytest.mark.gpu


@pytest.fixture
def slowed(gpuperf, request):
    """The call, followed by work that takes the share of it."""

    def run(call):
        if not share.SHARE or share.ONLY not in {"", request.node.name}:
            return call
        return work.followed(call, share.SHARE, gpuperf.device)

    return run


def test_product(gpuperf, slowed):
    side = 128 if gpuperf.device == "cpu" else 2048
    a = torch.randn(side, side, device=gpuperf.device)
    gpuperf(slowed(lambda: a @ a))


def test_copy(gpuperf, slowed):
    b = torch.zeros(2**16 if gpuperf.device == "cpu" else 2**26, device=gpuperf.device)
    gpuperf(slowed(b.clone))


def test_small_calls(gpuperf, slowed):
    c = torch.ones(4096, device=gpuperf.device)

    def adds():
        for _ in range(50):
            c.add_(1)

    gpuperf(slowed(adds))
