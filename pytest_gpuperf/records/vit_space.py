"""The space of a study of vision transformers, and what is measured of each: a case of the suite that is shipped."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from pytest_gpuperf.records.vit import ViT

SUITE = "pytest_gpuperf/studies/vit_suite.py"  # its file, as node ids begin wherever the package is installed
PRECISION, NUMBER_SIZE = "bf16", 2  # S4's; bytes of one
BATCH = 8  # images a call: the same everywhere, so that figures can be held against each other
EAGER = "eager"
MODES = {  # torch.compile's modes, by the back end that runs them
    EAGER: "off",
    "compile": "default",
    "compile-reduce-overhead": "reduce-overhead",
    "compile-max-autotune": "max-autotune",
}


@dataclass(frozen=True, slots=True)
class VitCase:
    """One architecture, at one resolution, run one way."""

    vit: ViT
    backend: str = EAGER

    @property
    def parameters(self) -> str:
        """What stands between the brackets of its test's id."""
        return f"{self.vit.sizes}-{PRECISION}-{self.backend}-{BATCH}"

    @property
    def test(self) -> str:
        """Its node id."""
        return f"{SUITE}::test_vit[{self.parameters}]"

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


SPACES = {
    "full": Space(  # S4's
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
