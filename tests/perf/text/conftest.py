"""What the text suite runs over."""

from __future__ import annotations

from pytest_gpuperf import settings_of

WAYS = {  # at full scale; a processor is slower in half precision, and compiles for half a minute
    "cuda": (("fp16", "eager"), ("fp16", "static"), ("fp16", "compile"), ("bf16", "eager")),
    "cpu": (("fp32", "eager"), ("fp32", "static")),
}
SHAPES = {"full": ((32, 64), (512, 64), (32, 256)), "smoke": ((32, 16), (128, 16))}  # tokens in, tokens out
CONCURRENCY = {"full": (1, 8, 32), "smoke": (1, 4)}  # answers in flight, of a server
BATCHES = {"full": (1, 8), "smoke": (1, 4)}


def pytest_generate_tests(metafunc):
    """Precisions and back ends, shapes, and how many prompts are answered together."""
    settings = settings_of(metafunc.config)
    device, scale = "cpu" if settings.device == "cpu" else "cuda", settings.scale
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize(("precision", "backend"), WAYS[device])
        metafunc.parametrize("shape", SHAPES[scale], ids=[f"{i}in-{o}out" for i, o in SHAPES[scale]])
        metafunc.parametrize("batch", BATCHES[scale])
    if "concurrency" in metafunc.fixturenames:
        metafunc.parametrize("concurrency", CONCURRENCY[scale])
    if "scale" in metafunc.fixturenames:
        metafunc.parametrize("scale", [scale])
