from __future__ import annotations

import sys

import pytest
import torch
from small_net import SmallNet

from pytest_gpuperf import models
from pytest_gpuperf.errors import MissingError, UsageError
from pytest_gpuperf.models import Built, images, load, model, registry


@pytest.fixture
def own(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_own", {})


def build(scale, pretrained):
    return Built(SmallNet(), images(8 if scale == "smoke" else 16))


def test_a_seed_gives_the_same_weights_and_leaves_the_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first, again = load("vit_b_16", "smoke"), load("vit_b_16", "smoke")
    assert torch.rand(1) == expected
    other = load("vit_b_16", "smoke", seed=1)
    state = first.module.state_dict()
    assert all(torch.equal(t, again.module.state_dict()[n]) for n, t in state.items())
    assert not all(torch.equal(t, other.module.state_dict()[n]) for n, t in state.items())
    assert not first.module.training


def test_a_decorator_registers_a_model(own):
    assert model("my-net")(build) is build
    assert model("my-net")(build) is build  # the same again: a module that is imported twice
    assert "my-net" in models.names()
    assert models.why_not("my-net") is None
    assert load("my-net", "smoke").inputs(2)[0].shape == (2, 3, 8, 8)
    assert load("my-net").inputs(2)[0].shape == (2, 3, 16, 16)


@pytest.mark.parametrize("taken", ["resnet50", "timm:mine", "my-net"])
def test_a_name_belongs_to_one_model(own, taken):
    model("my-net")(build)
    with pytest.raises(UsageError, match="There is a model"):
        model(taken)(SmallNet)


def test_an_entry_point_brings_a_model(tmp_path, monkeypatch):
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest_gpuperf.models]\ntheir-net = small_net_of_theirs:build\n")
    (tmp_path / "small_net_of_theirs.py").write_text(
        "from small_net import SmallNet, draw\n"
        "from pytest_gpuperf.models import Built\n"
        "def build(scale, pretrained):\n    return Built(SmallNet(), draw)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "their-net" in models.names()
    assert type(load("their-net", "smoke").module).__name__ == "SmallNet"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"no model 'resnet5'. Did you mean 'resnet50'\?"):
        load("resnet5")
    with pytest.raises(UsageError, match="timm has no model 'resnet5'"):
        load("timm:resnet5")


@pytest.mark.parametrize(("name", "package"), [("timm:resnet50", "timm"), ("vit_b_16", "torchvision")])
def test_an_absent_package_is_named_with_its_command(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingError, match=f"needs {package}, which is not installed. .* pip install {package}"):
        load(name, "smoke")


def test_pretrained_weights_fit_the_full_size_only():
    with pytest.raises(UsageError, match="fit the full size only"):
        load("resnet50", "smoke", pretrained=True)


def test_pretrained_weights_out_of_reach_are_said_to_be(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setattr("urllib.request._opener", None)  # made once, with the proxies of that time
    with pytest.raises(MissingError, match=r"could not be fetched .*leave pretrained=True out"):
        load("resnet50", pretrained=True)


def test_an_error_of_the_models_own_code_stays_what_it_is(own):
    @model("broken")
    def broken(scale, pretrained):
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        load("broken")
