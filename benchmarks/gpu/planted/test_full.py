"""A device whose memory is full, when a library wants some for the first time in its process."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

pytestmark = pytest.mark.gpu


@pytest.fixture
def fill(gpuperf):
    """Takes all of the card's memory; it is free again after the test."""
    if gpuperf.device == "cpu":
        pytest.skip("a processor's memory is not filled here")
    blocks = []

    def take():
        size = torch.cuda.mem_get_info()[0]
        while size >= 2**20:
            try:
                blocks.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
            except torch.OutOfMemoryError:
                size //= 2

    yield take
    blocks.clear()


def test_torch(gpuperf):
    gpuperf(lambda: torch.empty(2**49, dtype=torch.uint8, device=gpuperf.device))


def test_cublas(gpuperf, fill):
    a = torch.randn(256, 256, device=gpuperf.device)

    def product():
        fill()
        with ThreadPoolExecutor(1) as another:  # which has no handle of cuBLAS yet
            return another.submit(torch.matmul, a, a).result()

    gpuperf(product)


def test_cudnn(gpuperf, fill):
    layer, x = torch.nn.Conv2d(16, 16, 3).to(gpuperf.device), torch.randn(4, 16, 64, 64, device=gpuperf.device)

    def convolution():
        fill()
        return layer(x)

    gpuperf(convolution)


def test_onnx(gpuperf):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    provider = "CPUExecutionProvider" if gpuperf.device == "cpu" else "CUDAExecutionProvider"
    if provider not in runtime.get_available_providers():
        pytest.skip(f"the installed onnxruntime is built without {provider}")
    import numpy as np

    from pytest_gpuperf.backends.onnx_providers import session

    made = onnx.helper.make_node("ConstantOfShape", ["shape"], ["filled"])
    total = onnx.helper.make_node("ReduceSum", ["filled"], ["total"], keepdims=0)
    graph = onnx.helper.make_graph(
        [made, total],
        "full",
        [onnx.helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, [1])],
        [onnx.helper.make_tensor_value_info("total", onnx.TensorProto.FLOAT, [])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, "full.onnx")
    opened = session("full.onnx", [(provider, {})], 1)
    assert opened.run(None, {"shape": np.array([8])})[0] == 0
    gpuperf(lambda: opened.run(None, {"shape": np.array([2**42])}))


def test_afterwards(gpuperf):
    gpuperf(lambda: torch.ones(2**20, device=gpuperf.device))
