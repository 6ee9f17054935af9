"""Evidence: work that is known to be the device's is proven, and work that is known to be another's is contradicted."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator

from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.device.clocks import Call
from pytest_gpuperf.measure.find_evidence import Prover
from pytest_gpuperf.records.certificate import Row, impossible, judged
from pytest_gpuperf.records.model import Proof

_TAKEN_FOR_A_GPUS = "the processor's work, where a GPU's is expected"


def of_processor(chosen: Chosen) -> Iterator[Row]:
    """The processor's own work, and the same taken for a GPU's."""
    prover = Prover("cpu", None, chosen.clock, chosen.sensors)
    yield _row("a loop", prover, lambda: sum(range(200_000)), (), "proven")
    try:
        import torch  # noqa: PLC0415 - three seconds, and it may be missing
    except ImportError as error:
        yield impossible("evidence", _TAKEN_FOR_A_GPUS, f"it needs torch: {error}")
        return
    layer, x = torch.nn.Linear(512, 512), torch.randn(256, 512)
    prover = Prover("cuda", 0, chosen.clock, chosen.sensors)
    yield _row(_TAKEN_FOR_A_GPUS, prover, lambda: layer(x), (layer, x), "contradicted")


def of_gpu(chosen: Chosen) -> Iterator[Row]:  # pragma: no cover - needs a GPU
    """A kernel, a graph, a copy within the card; and a model that was left on the host."""
    import torch  # noqa: PLC0415

    prover = Prover("cuda", chosen.index, chosen.clock, chosen.sensors)
    x = torch.randn(1024, 1024, device=chosen.torch_name)
    yield _row("a product", prover, lambda: x @ x, (x,), "proven")
    yield _row("a copy within the card", prover, x.clone, (x,), "proven")
    captured = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(captured):
        x.add_(1)
    yield _row("a replayed graph", prover, captured.replay, (x,), "proven")
    layer, host = torch.nn.Linear(1024, 1024), torch.randn(1024, 1024)
    yield _row("a model left on the host", prover, lambda: layer(host), (layer, host), "contradicted")


def _row(what: str, prover: Prover, call: Call, held: tuple[object, ...], wanted: Proof) -> Row:
    found = prover.prove(call, held)
    telling = {"proven": ("proves", "supports"), "contradicted": ("contradicts",)}.get(found.verdict, ())
    shown = [f"{w.name}: {w.figure}" for w in found.witnesses if w.rating in telling] or [
        f"{w.name}: {w.rating}, {w.figure}" for w in found.witnesses
    ]
    return judged("evidence", what, f"{found.verdict}; {shown[0]}", wanted, holds=found.verdict == wanted)
