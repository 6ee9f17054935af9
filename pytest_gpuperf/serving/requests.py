"""Requests of the KServe v2 protocol, built and read with tritonclient: what they are on the wire, what they cost."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, TypeVar, cast
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.errors import MissingError, UsageError
from pytest_gpuperf.records.served_load import Protocol, Wire
from pytest_gpuperf.records.units import many
from pytest_gpuperf.serving.exchange import Expected, accepted, exchange, got
from pytest_gpuperf.serving.faults import failure
from pytest_gpuperf.serving.server import Server

Array = NDArray[Any]
Check = Callable[[Sequence[Array]], None]  # raises where the arrays of an answer are wrong
T = TypeVar("T")

_REPEATS = 5  # of serialising and parsing
_ENOUGH = 1.0  # ... but no more than this many seconds
_DATA = re.compile(rb'"data"\s*:')


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent as often as one likes."""

    http: bytes  # head and body
    protocol: Protocol
    serialise: float  # seconds that making it of arrays took


@dataclass(frozen=True)
class FirstAnswer:
    """The answer that all others are compared with."""

    seconds: float  # from sending to the last byte
    outputs: dict[str, Array]
    expected: Expected
    wire: Wire


def build(server: Server, inputs: Sequence[Array], protocol: Protocol, timeout: float = 60.0) -> Request:
    """The request that asks the server's model for all its outputs."""
    client = _client()
    metadata = _metadata(server, timeout)
    tensors: list[dict[str, Any]] = metadata["inputs"]
    arrays = _arrays(server, inputs, tensors)
    binary = protocol == "binary"
    outputs = [client.InferRequestedOutput(o["name"], binary_data=binary) for o in metadata["outputs"]]

    def body() -> tuple[bytes, int | None]:
        given: list[Any] = []
        for tensor, array in zip(tensors, arrays, strict=True):
            given.append(client.InferInput(tensor["name"], list(array.shape), tensor["datatype"]))
            given[-1].set_data_from_numpy(array, binary_data=binary)
        return client.InferenceServerClient.generate_request_body(given, outputs=outputs)

    (content, header), seconds = _timed(body)
    lines = [
        f"POST /v2/models/{quote(server.model)}/infer HTTP/1.1",
        f"Host: {server.url}",
        "Content-Type: " + ("application/octet-stream" if header else "application/json"),
        f"Content-Length: {len(content)}",
        *([f"Inference-Header-Content-Length: {header}"] if header else ()),
    ]
    return Request("\r\n".join([*lines, "", ""]).encode() + content, protocol, seconds)


def _arrays(server: Server, inputs: object, tensors: list[dict[str, Any]]) -> list[Array]:
    """The inputs in the types that the model takes. One bare array would be taken apart along its first axis."""
    if not isinstance(inputs, (list, tuple)):
        raise UsageError(
            f"gpuperf_load sends a list of arrays, one for each input of the model, and not one "
            f"{type(inputs).__name__}. Write gpuperf_load(server, [x])."
        )
    given = cast("Sequence[Any]", inputs)
    if len(tensors) != len(given):
        raise UsageError(
            f"The model {server.model!r} at {server.url} takes {many(len(tensors), 'input')} and got {len(given)}. "
            f"Send one array for each, or load the workload that this server serves."
        )
    arrays: list[Array] = []
    for array, tensor in zip(given, tensors, strict=True):
        name, kind = tensor["name"], tensor["datatype"]
        try:
            arrays.append(np.ascontiguousarray(array, _numpy_type(kind)))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"The input {name!r} of {server.model!r} takes an array of {kind}, and a {type(array).__name__} cannot "
                f"become one: {error}."
            ) from None
    return arrays


def ask(server: Server, request: Request, timeout: float) -> FirstAnswer:
    """Send it once, and read the answer with tritonclient; whatever goes wrong is a `ServerError`."""
    head, _, body = request.http.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    try:
        reply = accepted(exchange(server.url, first.split(" ")[1], body, headers, timeout))
        length = reply.headers.get("inference-header-content-length")
        outputs, parse = _timed(lambda: _parsed(reply.content, None if length is None else int(length)))
    except Exception as error:
        raise failure(server, f"answering one request for {server.model!r}", error) from error
    wire = Wire(
        protocol=request.protocol,
        request_bytes=len(request.http),
        response_bytes=reply.size,
        serialise=max(request.serialise, 1e-9),
        parse=max(parse, 1e-9),
    )
    return FirstAnswer(reply.seconds, outputs, _expected(reply.content, length), wire)


def _expected(content: bytes, header: str | None) -> Expected:
    if header is not None:
        return Expected(content[: int(header)], len(content))
    data = _DATA.search(content)
    return Expected(content[: data.start()] if data else b"", None)


def _parsed(content: bytes, header: int | None) -> dict[str, Array]:
    result = _client().InferenceServerClient.parse_response_body(content, header_length=header)
    names = [str(output["name"]) for output in result.get_response()["outputs"]]
    return {name: np.asarray(result.as_numpy(name)) for name in names}


def _metadata(server: Server, timeout: float) -> dict[str, Any]:
    """Names, types and shapes of the model's inputs and outputs, as the server reports them."""
    try:
        metadata: dict[str, Any] = json.loads(got(server, f"/v2/models/{quote(server.model)}", timeout))
        return {"inputs": metadata["inputs"], "outputs": metadata["outputs"]}
    except Exception as error:
        raise failure(server, f"telling about the model {server.model!r}", error) from error


def _numpy_type(datatype: str) -> Any:
    from tritonclient.utils import triton_to_np_dtype  # noqa: PLC0415 - an extra

    return triton_to_np_dtype(datatype)


def _client() -> Any:
    try:
        import tritonclient.http  # noqa: PLC0415 - an extra
    except (ImportError, RuntimeError) as error:
        raise MissingError(
            f"Loading a server needs tritonclient, which cannot be imported ({error}). "
            f"Install it with: pip install 'pytest-gpuperf[serving]'"
        ) from None
    return tritonclient.http


def _timed(do: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and the median seconds that it takes."""
    seconds: list[float] = []
    while True:
        begun = perf_counter()
        given = do()
        seconds.append(perf_counter() - begun)
        if len(seconds) == _REPEATS or sum(seconds) > _ENOUGH:
            return given, median(seconds)
