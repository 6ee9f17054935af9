"""A language model's life: its device does the work, and has its memory back."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gpu


def test_the_device_does_the_work_and_gets_its_memory_back(gpu, scale, record_property):
    from pytest_gpuperf.text import lacking, load_text

    if (reason := lacking()) is not None:
        pytest.skip(reason)
    import torch

    on_card = gpu.device.kind == "cuda"
    dtype = torch.float16 if on_card else torch.float32
    prompt = torch.arange(100, 132, device=gpu.device.kind)[None]

    def generate(model):
        return model.module.generate(prompt, max_new_tokens=16, do_sample=False, pad_token_id=0)

    generate(
        load_text("text:phi-2", "smoke", device=gpu.device.kind, dtype=dtype)
    )  # what libraries keep, they keep now
    stages = gpu.stages(lambda: load_text("text:phi-2", scale, device=gpu.device.kind, dtype=dtype), generate)

    record_property("stages", str(stages))
    stages.assert_proven()
    stages.assert_released()
