"""A vision transformer by its sizes, and what those say before anything runs: tokens, weights, operations, memory.

``vit:p16-d12-h768-r224`` has patches of 16 x 16 pixels, 12 blocks of width 768, and looks at 224 x 224 pixels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_gpuperf.errors import UsageError

PREFIX = "vit:"
HEAD = 64  # width of an attention head ...
PUBLISHED_HEADS = {1280: 16}  # ... but in ViT-H, whose 16 heads are 80 wide (Dosovitskiy et al. 2021; so in timm)
CLASSES = 1000
MLP = 4  # times as wide as the block
LIVE = 12  # widths of activations that a token holds at once, where a block holds most: see `activation_bytes`
_SIZES = re.compile(r"p([1-9]\d{0,3})-d([1-9]\d{0,3})-h([1-9]\d{0,4})-r([1-9]\d{0,4})")


@dataclass(frozen=True, slots=True, order=True)
class ViT:
    """One architecture at one resolution."""

    patch: int  # pixels, of a side
    depth: int
    hidden: int
    resolution: int  # pixels, of a side

    def __post_init__(self) -> None:
        if self.resolution % self.patch:
            fit = " or ".join(str(r) for r in _multiples_beside(self.resolution, self.patch))
            raise UsageError(
                f"{self.name}: patches of {self.patch} pixels do not fill {self.resolution}. Use a resolution of {fit}."
            )
        if self.hidden % HEAD:
            fit = " or ".join(str(h) for h in _multiples_beside(self.hidden, HEAD))
            raise UsageError(
                f"{self.name}: a width of {self.hidden} is not divided into heads of {HEAD}. Use a width of {fit}."
            )

    @property
    def name(self) -> str:
        """As workloads are named."""
        return f"{PREFIX}{self.sizes}"

    @property
    def sizes(self) -> str:
        """``p16-d12-h768-r224``."""
        return f"p{self.patch}-d{self.depth}-h{self.hidden}-r{self.resolution}"

    @property
    def heads(self) -> int:
        return PUBLISHED_HEADS.get(self.hidden, self.hidden // HEAD)

    @property
    def patches(self) -> int:
        """Of one image."""
        return (self.resolution // self.patch) ** 2

    @property
    def tokens(self) -> int:
        """A patch each, and the class token; each has a position of its own."""
        return self.patches + 1

    @property
    def parameters(self) -> int:
        width, pixels = self.hidden, 3 * self.patch**2
        embedding = pixels * width + width  # of a patch
        positions = width + self.tokens * width  # the class token, and where each token stands
        block = (4 + 2 * MLP) * width**2 + (9 + MLP) * width  # attention's four products, the two of the MLP, two norms
        return embedding + positions + self.depth * block + 2 * width + CLASSES * (width + 1)

    def flops(self, batch: int) -> int:
        """Floating-point operations of one call; a multiply-add is two. Attention's grow as the square of the tokens.

        Products and convolutions alone, as torch's counter counts: norms, softmax and activations are left out.
        """
        width, tokens = self.hidden, self.tokens
        embedding = 2 * self.patches * 3 * self.patch**2 * width
        products = 2 * (4 + 2 * MLP) * tokens * width**2
        attention = 4 * tokens**2 * width
        return batch * (embedding + self.depth * (products + attention) + 2 * width * CLASSES)

    def activation_bytes(self, batch: int, size: int) -> int:
        """The most that tensors of one call hold at once, without weights: an estimate, for numbers of `size` bytes.

        It is reached where the MLP's activation runs, with four widths before and four after it. Held beside them: the
        tokens as they entered the first block and this one, as attention left them, and their norm. Fused attention
        never holds the tokens' products with each other. The images stay throughout.
        """
        return size * batch * (LIVE * self.tokens * self.hidden + 3 * self.resolution**2)

    def memory(self, batch: int, size: int) -> int:
        """Weights and activations on the device, in bytes: an estimate."""
        return size * self.parameters + self.activation_bytes(batch, size)

    @property
    def small(self) -> ViT:
        """The same architecture, narrow and of 4 x 4 patches, for two cores."""
        width = max(HEAD, self.hidden // 4 // HEAD * HEAD)
        return ViT(self.patch, max(1, self.depth // 6), width, 4 * self.patch)


def parse_vit(name: str) -> ViT:
    """``vit:p16-d12-h768-r224``."""
    found = _SIZES.fullmatch(name.removeprefix(PREFIX))
    if found is None:
        raise UsageError(
            f"{name!r} is no vision transformer. Write its patch, depth, width and resolution like "
            f"{PREFIX}p16-d12-h768-r224."
        )
    return ViT(*map(int, found.groups()))


def _multiples_beside(number: int, of: int) -> list[int]:
    """The nearest below it, where that is above zero, and the nearest above."""
    below = number // of * of
    return [below + of] if below == 0 else [below, below + of]
