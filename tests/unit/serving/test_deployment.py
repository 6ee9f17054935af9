"""How a workload is to be served: what makes no sense is refused before a server is started."""

from __future__ import annotations

import pytest
import torch

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.serving.deployment import Deployment, served_name


def test_preferred_batches_are_powers_of_two_from_four():
    assert Deployment().preferred == (4, 8, 16, 32)
    assert Deployment(max_batch=20).preferred == (4, 8, 16)
    assert Deployment(max_batch=2).preferred == (2,)
    assert Deployment(preferred_batches=(3,)).preferred == (3,)


def test_what_a_result_file_holds():
    plain = Deployment(devices=("cuda:0", "cuda:1"), instances=2).plain()
    assert plain["devices"] == ["cuda:0", "cuda:1"]
    assert plain["preferred_batches"] == [4, 8, 16, 32]
    assert Deployment(batching=False).plain()["preferred_batches"] == []


@pytest.mark.parametrize(
    ("precision", "wire"),
    [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.float32), ("autocast_fp16", torch.float32)],
)
def test_tensors_travel_in_types_that_clients_have(precision, wire):
    assert Deployment(precision=precision).wire == wire


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"instances": 0}, "instances=0: it must be at least 1"),
        ({"max_batch": 0}, "max_batch=0: it must be at least 1"),
        ({"threads": 0}, "threads=0: it must be at least 1"),
        ({"runtime": "tf"}, "There is no runtime 'tf'. Choose one of: onnx, torch"),
        ({"precision": "fp12"}, "There is no precision 'fp12'"),
        ({"queue_delay": 10}, "queue_delay is in seconds, from 0 to 1, not 10"),
        ({"devices": ("gpu",)}, "devices are cpu or cuda:N, not gpu"),
        ({"devices": ()}, "not none"),
        ({"devices": ("cpu", "cuda:0")}, "by the processor or by GPUs, not by both"),
        ({"preferred_batches": (64,)}, r"between 1 and max_batch \(32\)"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(UsageError, match=says):
        Deployment(**wrong)


def test_a_name_fits_a_folder_and_a_url():
    assert served_name("timm:resnet50.a1_in1k") == "timm_resnet50.a1_in1k"
    assert served_name("ViT-B-32") == "ViT-B-32"


@pytest.mark.parametrize("name", ["", ".", "..", ".ssh"])
def test_a_name_that_is_another_folder_is_refused(name):
    with pytest.raises(UsageError, match="A model cannot be served under the name"):
        served_name(name)
