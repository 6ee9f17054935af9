"""The space of a study of vision transformers, and what is measured of each: a case of the suite that is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from pytest_gpuperf.records.vit import ViT

SUITE = "pytest_gpuperf/studies/vit_suite.py"  # its file, as node ids begin wherever the package is installed
PRECISION, NUMBER_SIZE = "bf16", 2  # as a published study of an L40S has it; bytes of one
BATCH = 8  # images a call: the same everywhere, so that figures can be held against each other
EAGER = "eager"
MODES: Mapping[str, str] = {  # torch.compile's modes, by the back end that runs them
    EAGER: "off",
    "compile": "default",
    "compile-reduce-overhead": "reduce-overhead",
    "compile-max-autotune": "max-autotune",
}
COPY = "copy"  # what measuring the copy of the images alone is called
PLACES = ("local", "remote", "interleaved")  # of a process's processors and memory, as its GPU sees them


@dataclass(frozen=True, slots=True)
class Design:
    """How a pipeline around a model is built."""

    queue: int | None  # items that wait between two stages at most; None: one stage after the other
    preprocess: str  # where: "cpu" or "gpu"

    @property
    def name(self) -> str:
        """``sync-cpu``, ``async-q2-gpu``."""
        return f"sync-{self.preprocess}" if self.queue is None else f"async-q{self.queue}-{self.preprocess}"


DESIGNS: Mapping[str, Design] = {
    design.name: design for design in (Design(queue, place) for place in ("cpu", "gpu") for queue in (None, 1, 2, 4, 8))
}


@dataclass(frozen=True, slots=True)
class VitCase:
    """One architecture at one resolution, and which way it is run: a back end, a place, or a pipeline's design."""

    vit: ViT
    way: str = EAGER

    @property
    def function(self) -> str:
        """The test's."""
        return "test_vit" if self.way in MODES else "test_numa" if self.way in PLACES else "test_pipeline"

    @property
    def parameters(self) -> str:
        """What stands between the brackets of its test's id."""
        return f"{self.vit.sizes}-{PRECISION}-{self.way}-{BATCH}"

    @property
    def test(self) -> str:
        """Its node id."""
        return f"{SUITE}::{self.function}[{self.parameters}]"

    @property
    def flops(self) -> int:
        """Of one call."""
        return self.vit.flops(BATCH)

    @property
    def memory(self) -> int:
        """Bytes of the device that it needs: an estimate."""
        return self.vit.memory(BATCH, NUMBER_SIZE)


@dataclass(frozen=True, slots=True)
class Space:
    """Every combination of these is an architecture at a resolution; the centre is one of them."""

    patches: tuple[int, ...]
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    resolutions: tuple[int, ...]
    centre: ViT

    def every(self) -> tuple[ViT, ...]:
        """All of it."""
        return tuple(ViT(*sizes) for sizes in product(self.patches, self.depths, self.widths, self.resolutions))


SPACES: Mapping[str, Space] = {
    "full": Space(  # of that study
        patches=(8, 16, 32),
        depths=(6, 12, 18, 24),
        widths=(384, 768, 1024, 1280),
        resolutions=(256, 512, 1024, 2048),
        centre=ViT(16, 12, 768, 512),
    ),
    "smoke": Space(  # for two cores
        patches=(8, 16),
        depths=(2, 4),
        widths=(64, 128, 192),
        resolutions=(32, 64, 128),
        centre=ViT(8, 2, 128, 64),
    ),
}
