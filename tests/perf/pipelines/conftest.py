"""What the pipelines' suite runs over: mode x queue x where images are decoded and preprocessed x workers."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import pytest

from pytest_gpuperf import MissingError, settings_of

MODEL = "vit_b_16"
SIZES = {"full": (224, 32, 256), "smoke": (64, 4, 32)}  # side, batch, images


class How(NamedTuple):
    """One pipeline of the grid."""

    mode: str  # one-by-one, threads, processes, pinned, streams
    queue: int
    preprocess: str  # on the cpu or the gpu; decode-gpu decodes there too
    workers: int

    def __str__(self) -> str:
        depth = "" if self.mode == "one-by-one" else f"-q{self.queue}-w{self.workers}"
        return f"{self.mode}{depth}-{self.preprocess}"


PLACES = ("cpu", "gpu", "decode-gpu")
GRID = [
    *(How("one-by-one", 1, place, 1) for place in PLACES),
    *(How(*row) for row in product(("threads", "processes"), (1, 2, 4), ("cpu",), (1, 2, 4))),
    *(How(*row) for row in product(("threads", "pinned", "streams"), (1, 2, 4), ("gpu",), (1, 2, 4))),
    *(How(*row) for row in product(("threads", "streams"), (1, 2, 4), ("decode-gpu",), (1,))),
    *(How(*row) for row in product(("pinned", "streams"), (1, 2, 4), ("cpu",), (1, 2, 4))),
]


def pytest_generate_tests(metafunc):
    """A small model is another case than the full one."""
    if "how" in metafunc.fixturenames:
        metafunc.parametrize("how", GRID, ids=str)
        metafunc.parametrize("scale", [settings_of(metafunc.config).scale])


@lru_cache(maxsize=1)
def network(scale: str, device: str):
    """The model, on its device."""
    from pytest_gpuperf.models import load

    return load(MODEL, scale).module.to(device)


@pytest.fixture
def made(gpuperf_pipeline, how, scale):
    """The pipeline; what this machine cannot do is a skip with its reason."""
    from pytest_gpuperf import image_pipeline

    side, batch, images = SIZES[scale]
    try:
        return image_pipeline(
            network(scale, gpuperf_pipeline.device),
            images,
            batch=batch,
            size=side,
            decode="gpu" if how.preprocess == "decode-gpu" else "cpu",
            preprocess="cpu" if how.preprocess == "cpu" else "gpu",
            pinned=how.mode in {"pinned", "streams"} and how.preprocess != "decode-gpu",
            streams=how.mode == "streams",
            workers=how.workers,
            where="process" if how.mode == "processes" else "thread",
        )
    except MissingError as error:
        pytest.skip(str(error))
