"""The pipeline around an image model does what a loop over the same images would."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from pytest_gpuperf.errors import MissingError, UsageError, WorkloadError
from pytest_gpuperf.pipeline import PipelineStage, image_pipeline, run_pipeline
from pytest_gpuperf.pipeline.images import Decode, HostToDevice, Infer, Preprocess, best_classes, draw_images, pin
from pytest_gpuperf.pipeline.workers import through

no_gpu = pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 10)).eval()


@pytest.fixture(scope="module")
def made(net):
    return image_pipeline(net, 10, batch=4, size=32)


def test_its_stages_are_in_order_and_nothing_is_copied_on_a_processor(made):
    assert [stage.name for stage in made.stages] == ["decode", "preprocess", "inference", "post-process"]
    assert [len(batch) for batch in made.source] == [4, 4]  # the rest would be a smaller batch
    assert made.batch == 4


def test_it_gives_what_a_loop_with_other_libraries_gives(made, net):
    classes, likely = through(made.stages, made.source[0])
    scale = v2.Compose(
        [
            v2.Resize(37, antialias=True),
            v2.CenterCrop(32),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with torch.inference_mode():
        pixels = torch.stack([scale(v2.functional.pil_to_tensor(Image.open(BytesIO(f)))) for f in made.source[0]])
        expected = net(pixels).softmax(1).topk(5)
    assert classes == expected.indices.tolist()
    assert likely[0] == pytest.approx(expected.values[0].tolist(), abs=0.02)


def test_drawn_images_differ_and_are_the_same_each_time():
    first = draw_images(3, 32)
    assert len(set(first)) == 3
    assert first == draw_images(3, 32)
    assert Image.open(BytesIO(first[0])).size == (32, 32)


def test_files_of_any_size_and_colour_are_taken(net):
    grey = BytesIO()
    Image.new("L", (50, 70), 128).save(grey, "JPEG")
    made = image_pipeline(net, [grey.getvalue(), *draw_images(1, 60)], batch=2, size=32)
    decoded = Decode()(made.source[0])
    assert [tuple(image.shape) for image in decoded] == [(3, 70, 50), (3, 60, 60)]
    assert Preprocess(32)(decoded).shape == (2, 3, 32, 32)
    assert len(through(made.stages, made.source[0])[0]) == 2


def test_processes_decode_into_memory_that_is_shared(net):
    made = image_pipeline(net, 8, batch=4, size=32, where="process")
    assert [stage.where for stage in made.stages] == ["process", "process", "thread", "thread"]
    decode, preprocess, *others = made.stages
    here = PipelineStage("preprocess", pickle.loads(pickle.dumps(preprocess.fn)))  # importing torch once is enough
    figures = run_pipeline([decode, here, *others], made.source, batch=made.batch, budget=0.3)
    assert figures.throughput > 0


def test_images_get_the_type_of_the_weights(net):
    half = Infer(lambda images: images.dtype, torch.bfloat16, waits=False)
    assert half(torch.zeros(1)) is torch.bfloat16
    assert Infer(lambda images: images.dtype, None, waits=False)(torch.zeros(1)) is torch.float32


def test_few_classes_are_all_given():
    classes, _ = best_classes(torch.tensor([[0.0, 2.0, 1.0]]))
    assert classes == [[1, 2, 0]]


def test_a_copy_that_was_to_come_from_pinned_memory_says_when_it_does_not():
    copy = HostToDevice("cpu", pinned=True)
    with pytest.raises(WorkloadError, match="pinned memory was asked for, and the images are not in it"):
        copy(torch.zeros(2))
    with pytest.raises(WorkloadError, match="pinned memory"):
        copy([torch.zeros(2), torch.zeros(3)])


def test_without_pinning_images_are_copied_one_by_one_or_together():
    copy = HostToDevice("cpu")
    assert copy(torch.ones(2)).tolist() == [1, 1]
    assert [part.tolist() for part in copy([torch.ones(1), torch.ones(2)])] == [[1], [1, 1]]


@no_gpu
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"pinned": True}, "pinned: this needs the model on a CUDA device, and it is on cpu.* leave it out"),
        ({"preprocess": "gpu", "streams": True}, "preprocess and streams: .* leave them out"),
        ({"pinned": True, "device": "cuda"}, "pinned needs a CUDA device, and torch finds none"),
    ],
)
def test_what_only_a_gpu_can_do_is_a_reason_to_skip(net, how, message):
    with pytest.raises(MissingError, match=message):
        image_pipeline(net, 4, batch=2, size=32, **how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"decode": "gpu"}, "copy every image to the GPU and back"),
        ({"decode": "gpu", "preprocess": "gpu", "pinned": True}, "nothing to pin"),
        ({"batch": 0}, "batch=0: an item holds at least one image"),
        ({"batch": 5}, "4 images are fewer than the batch of 5"),
    ],
)
def test_what_makes_no_sense_is_refused(net, how, message):
    with pytest.raises(UsageError, match=message):
        image_pipeline(net, 4, **{"batch": 2, "size": 32, **how})


@no_gpu
def test_pinning_without_a_gpu_fails_in_its_own_stage():
    with pytest.raises(WorkloadError, match="Stage 'pin' raised"):
        through([PipelineStage("pin", pin)], torch.zeros(2))
