"""A vision transformer's sizes: what they say is what timm builds and torch counts."""

from __future__ import annotations

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.vit import ViT, parse_vit


def test_a_name_says_every_size():
    vit = parse_vit("vit:p16-d12-h768-r224")
    assert vit == ViT(16, 12, 768, 224)
    assert (vit.name, vit.heads, vit.patches, vit.tokens) == ("vit:p16-d12-h768-r224", 12, 196, 197)


@pytest.mark.parametrize(("hidden", "heads"), [(192, 3), (384, 6), (768, 12), (1024, 16), (1280, 16)], ids=str)
def test_heads_are_those_of_the_published_models(hidden, heads):
    assert ViT(16, 12, hidden, 224).heads == heads


def test_attention_grows_as_the_square_of_the_tokens():
    vit = ViT(8, 12, 768, 2048)
    assert vit.tokens == 65_537
    attention = 12 * 4 * 65_537**2 * 768
    assert 0.75 < attention / vit.flops(1) < 1
    assert vit.flops(8) == 8 * vit.flops(1)


@pytest.mark.parametrize("name", ["vit:p16", "vit:p0-d1-h64-r64", "vit:b16-d12-h768-r224", "vit:p16-d12-h768-r224-x"])
def test_what_is_no_name_is_refused_with_an_example(name):
    with pytest.raises(UsageError, match=r"is no vision transformer. Write its .* like vit:p16-d12-h768-r224"):
        parse_vit(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit:p16-d12-h768-r230", "do not fill 230. Use a resolution of 224 or 240"),
        ("vit:p32-d12-h768-r20", "do not fill 20. Use a resolution of 32"),
        ("vit:p16-d12-h700-r224", "a width of 700 is not divided into heads of 64. Use a width of 640 or 704"),
        ("vit:p16-d12-h32-r224", "Use a width of 64"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_the_nearest_that_do(name, message):
    with pytest.raises(UsageError, match=message):
        parse_vit(name)


def test_two_cores_get_the_same_architecture_narrow_and_of_sixteen_patches():
    assert ViT(16, 12, 768, 224).small == ViT(16, 2, 192, 64)
    assert ViT(8, 3, 128, 2048).small == ViT(8, 1, 64, 32)


def test_memory_is_weights_and_what_a_block_holds():
    vit = ViT(16, 12, 768, 224)
    held = 8 * (12 * 197 * 768 + 3 * 224 * 224) * 2
    assert vit.activation_bytes(8, 2) == held
    assert vit.memory(8, 2) == held + 2 * vit.parameters
