"""One Triton server for the serving benchmarks: a small network, and models that leave the processor alone."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_gpuperf.models import load
from pytest_gpuperf.serving import model_repository, triton
from pytest_gpuperf.serving.deployment import Deployment
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.server_process import HOST

NULL = "gpuperf_null"  # comes with every repository
FIXED = "fixed"  # 5 ms a request, four at a time
SINK = "sink"  # takes images of 224 x 224 and gives one number each
FIXED_SECONDS, FIXED_AT_ONCE = 0.005, 4

_MODEL = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        given = []
        for request in requests:
            time.sleep({seconds})
            x = np.from_dlpack(pb_utils.get_input_tensor_by_name(request, "x"))
            y = np.ones((len(x), 1), np.float32)
            given.append(pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack("y", y)]))
        return given
"""
_CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: 32
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ {dims} ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ 1 ] }} ]
instance_group [ {{ kind: KIND_CPU count: {count} }} ]
"""


def _write(into: Path, name: str, dims: str, seconds: float, count: int) -> None:
    (into / name / "1").mkdir(parents=True)
    (into / name / "1" / "model.py").write_text(_MODEL.format(seconds=seconds))
    (into / name / "config.pbtxt").write_text(_CONFIG.format(name=name, dims=dims, count=count))


@contextmanager
def serving(network: str = "resnet50") -> Generator[dict[str, Server]]:
    """Handles of all its models, by name; "network" is the small network, batched dynamically."""
    with tempfile.TemporaryDirectory(prefix="gpuperf-benchmark-") as folder:
        repository = Path(folder, "repository")
        repository.mkdir()
        found = triton.find()
        written = model_repository.write(load(network, "smoke"), Deployment(), repository, found.backends)
        _write(repository, FIXED, "16", FIXED_SECONDS, FIXED_AT_ONCE)
        _write(repository, SINK, "3, 224, 224", 0.0, 1)
        begun = triton.start_triton(found, repository, written.model, folder=Path(folder), timeout=120)
        whole = Server(
            name="triton",
            kind="triton",
            url=f"{HOST}:{begun.port}",
            model=written.model,
            metrics_url=f"http://{HOST}:{begun.metrics_port}/metrics",
            process=begun.process,
        )
        try:
            yield {"network": whole} | {m: replace(whole, model=m) for m in (NULL, FIXED, SINK)}
        finally:
            whole.stop()
