"""A small real model server in torch: an ASGI app that speaks KServe v2, run by uvicorn in a process of its own.

``python -m pytest_gpuperf.serving.torch_app ORDER.json``
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import json
import math
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pytest_gpuperf.backends.precisions import arithmetic
from pytest_gpuperf.models import load
from pytest_gpuperf.serving.batching import Batching, Executed, Queue, Tally, Waiting
from pytest_gpuperf.serving.deployment import Deployment, Signature, Tensor
from pytest_gpuperf.serving.faults import NULL_MODEL
from pytest_gpuperf.serving.kserve import LENGTH, Array, Asked, ProtocolError, datatype_of, read, write
from pytest_gpuperf.serving.server_process import HOST
from pytest_gpuperf.serving.torch_model import Replica, gpu_facts, parameters_by_device

_NAME, _VERSION = "gpuperf-torch", "1"
_LEFT = 499  # as others log a client that did not wait
_OVERHEAD, _OF_A_NUMBER = 2**20, 32  # bytes of a request beside its numbers, and of each number as JSON


class Served:
    """One model behind its queue."""

    def __init__(self, name: str, signature: Signature, deployment: Deployment, replicas: Sequence[Replica]) -> None:
        self.name, self.signature, self.deployment, self.replicas = name, signature, deployment, replicas
        self.tally = Tally(name)
        numbers = sum(math.prod(t.shape) for t in signature.inputs)
        self.largest = _OVERHEAD + _OF_A_NUMBER * deployment.max_batch * numbers  # bytes of a request
        batching = Batching(
            deployment.max_batch, deployment.preferred if deployment.batching else (), deployment.queue_delay
        )
        instances = [replica for replica in replicas for _ in range(deployment.instances)]
        self.queue: Queue[Asked, list[Array]] = Queue(batching, [self._instance(replica) for replica in instances])

    def _instance(self, replica: Replica) -> Any:
        def run(batch: Sequence[Waiting[Asked, list[Array]]], left: int) -> None:
            parts = [[one.asked.inputs[t.name] for one in batch] for t in self.signature.inputs]
            outputs, phases = replica.run(parts)
            now = time.perf_counter_ns()
            rows = sum(one.size for one in batch)
            queued, stayed = [left - one.since for one in batch], [now - one.since for one in batch]
            self.tally.executed(Executed(rows, phases, queued, stayed), round(time.time() * 1000))
            at = 0
            for one in batch:
                one.answer.set_result([whole[at : at + one.size] for whole in outputs])
                at += one.size

        return run

    def size_of(self, asked: Asked) -> int:
        """How many items a request is; refuses what the model does not take."""
        wanted = {t.name: t for t in self.signature.inputs}
        if set(asked.inputs) != set(wanted):
            raise ProtocolError(f"{self.name} takes {', '.join(wanted)}; the request has {', '.join(asked.inputs)}")
        sizes = {array.shape[0] if array.ndim else 0 for array in asked.inputs.values()}
        for name, array in asked.inputs.items():
            if array.shape[1:] != wanted[name].shape:
                takes = ["batch", *wanted[name].shape]
                raise ProtocolError(f"input {name!r} is {list(array.shape)}; {self.name} takes {takes}")
            if datatype_of(array) != wanted[name].datatype:
                raise ProtocolError(
                    f"input {name!r} is {datatype_of(array)}; {self.name} takes {wanted[name].datatype}"
                )
        gives = [t.name for t in self.signature.outputs]
        unknown = [name for name in asked.outputs if name not in gives]
        if unknown:
            raise ProtocolError(f"{self.name} gives {', '.join(gives)}; the request wants {', '.join(unknown)}")
        if len(sizes) != 1 or not 1 <= min(sizes) <= self.deployment.max_batch:
            raise ProtocolError(f"a request has 1 to {self.deployment.max_batch} items, the same in every input")
        return sizes.pop()

    async def infer(self, request: Request) -> Response:
        """Answer a request for inference."""
        try:
            body = await _body(request, self.largest)
        except ClientDisconnect:
            return Response(status_code=_LEFT)
        begun = time.perf_counter_ns()
        if body is None:
            self.tally.failed(0)
            return JSONResponse({"error": f"a request has at most {self.largest} bytes"}, status_code=413)
        try:
            asked = read(body, request.headers.get(LENGTH))
            size = self.size_of(asked)
            self.tally.front_end("decode", time.perf_counter_ns() - begun)
            outputs = await asyncio.wrap_future(self.queue.put(asked, size))
        except ProtocolError as error:
            self.tally.failed(time.perf_counter_ns() - begun)
            return JSONResponse({"error": str(error)}, status_code=400)
        except Exception as error:  # noqa: BLE001 - the model's failure is the client's answer, and the log's
            self.tally.failed(time.perf_counter_ns() - begun)
            traceback.print_exception(error)
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=500)
        begun = time.perf_counter_ns()
        described = [(t.name, t.datatype, array) for t, array in zip(self.signature.outputs, outputs, strict=True)]
        parts, length = write(self.name, asked, described)
        content = b"".join(parts)
        self.tally.front_end("encode", time.perf_counter_ns() - begun)
        if length is None:
            return Response(content, media_type="application/json")
        return Response(content, media_type="application/octet-stream", headers={LENGTH: str(length)})

    def metadata(self) -> Mapping[str, Any]:
        """What the model takes and gives."""
        return {
            "name": self.name,
            "versions": ["1"],
            "platform": "torch",
            "inputs": _described(self.signature.inputs),
            "outputs": _described(self.signature.outputs),
        }

    def config(self) -> Mapping[str, Any]:
        """How it is served, in the words of Triton's configuration where it has them."""
        deployment = self.deployment
        kind = "KIND_GPU" if deployment.on_gpu else "KIND_CPU"
        groups = [{"kind": kind, "count": deployment.instances, "device": str(r.device)} for r in self.replicas]
        return {
            "name": self.name,
            "max_batch_size": deployment.max_batch,
            "instance_group": groups,
            **(
                {
                    "dynamic_batching": {
                        "preferred_batch_size": list(deployment.preferred),
                        "max_queue_delay_microseconds": round(deployment.queue_delay * 1e6),
                    }
                }
                if deployment.batching
                else {}
            ),
        }

    def gpu_info(self) -> Mapping[str, Any]:
        """Which devices there are, and where the model is and worked."""
        return {**gpu_facts(), "model": self.name, "replicas": [replica.facts() for replica in self.replicas]}

    def metrics(self) -> str:
        """Counters, and the memory of the GPUs."""
        gauges: dict[str, dict[str, float]] = {}
        for gpu in gpu_facts()["gpus"]:  # pragma: no cover - needs a GPU
            label = f'{{gpu="{gpu["index"]}"}}'
            gauges.setdefault("gpuperf_gpu_memory_allocated_bytes", {})[label] = gpu["allocated_bytes"]
        return self.tally.prometheus(self.queue.pending, gauges)


async def _body(request: Request, largest: int) -> bytes | None:
    """What a client sends; None where it is too much, and is not kept."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= largest:
            parts.append(part)
    return b"".join(parts) if size <= largest else None


def _described(tensors: Sequence[Tensor]) -> list[Mapping[str, Any]]:
    return [{"name": t.name, "datatype": t.datatype, "shape": [-1, *t.shape]} for t in tensors]


def app(served: Served) -> Starlette:
    """Every path of the server."""

    def endpoint_of(content: Any) -> Any:
        async def answer(_: Request) -> Response:
            return JSONResponse(content() if callable(content) else content)

        return answer

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(served.metrics())

    async def null(request: Request) -> Response:
        await _body(request, _OVERHEAD)
        return JSONResponse({"model_name": NULL_MODEL, "model_version": "1", "outputs": []})

    async def unknown(request: Request, _: Exception) -> Response:
        return JSONResponse({"error": f"there is no {request.url.path}; the model is {served.name!r}"}, status_code=404)

    server = {"name": _NAME, "version": _VERSION, "extensions": ["binary_tensor_data", "statistics"]}
    model = f"/v2/models/{served.name}"
    routes = [
        Route("/v2", endpoint_of(server)),
        Route("/v2/health/live", endpoint_of({"live": True})),
        Route("/v2/health/ready", endpoint_of({"ready": True})),
        Route("/v2/models/stats", endpoint_of(served.tally.statistics)),
        Route(
            "/v2/repository/index",
            endpoint_of([{"name": served.name, "version": "1", "state": "READY"}]),
            methods=["POST"],
        ),
        Route(f"/v2/models/{NULL_MODEL}/infer", null, methods=["POST"]),
        Route("/gpu-info", endpoint_of(served.gpu_info)),
        Route("/metrics", metrics),
    ]
    for path in (model, f"{model}/versions/1"):
        routes += [
            Route(path, endpoint_of(served.metadata)),
            Route(f"{path}/ready", endpoint_of({"ready": True})),
            Route(f"{path}/config", endpoint_of(served.config)),
            Route(f"{path}/stats", endpoint_of(served.tally.statistics)),
            Route(f"{path}/infer", served.infer, methods=["POST"]),
        ]
    return Starlette(routes=routes, exception_handlers={404: unknown})


def _module(order: Mapping[str, Any]) -> torch.nn.Module:
    """Load the model by its name; or the exported program, where this process cannot build the model by its name."""
    if order["exported"] is not None:
        program: Any = torch.export.load(order["exported"])
        return program.module()
    return load(order["workload"], order["scale"], pretrained=order["pretrained"], seed=order["seed"]).module


def _tensors(descriptions: Sequence[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(t["name"], t["datatype"], tuple(t["shape"])) for t in descriptions)


def _ignored(number: int, frame: FrameType | None) -> None:
    """A signal's handler that does nothing."""


def main(file: str) -> None:
    """Load the model, say where it is, and serve until the end."""
    order = json.loads(Path(file).read_text(encoding="utf-8"))
    settings = order["deployment"]
    deployment = Deployment(
        **(
            settings
            | {"devices": tuple(settings["devices"]), "preferred_batches": tuple(settings["preferred_batches"])}
        )
    )
    signature = Signature(_tensors(order["inputs"]), _tensors(order["outputs"]))
    with arithmetic(deployment.how):
        module = _module(order)
        replicas = [Replica.of(module, deployment, device) for device in deployment.devices]
        for replica in replicas:
            weights = parameters_by_device(replica.module)
            print(
                f"gpuperf: {order['model']} serves on {replica.device}, torch {torch.__version__}, {weights}",
                flush=True,
            )
        served = Served(order["model"], signature, deployment, replicas)
        # Having ended in good order, uvicorn raises the signal that it got once more; so it returns instead.
        signal.signal(signal.SIGTERM, _ignored)
        uvicorn.run(
            app(served),
            host=HOST,
            port=order["port"],
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,  # a hanging model must not keep it
        )
        served.queue.close()


if __name__ == "__main__":
    main(sys.argv[1])
