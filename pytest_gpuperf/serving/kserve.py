"""The KServe v2 protocol, as a server reads and writes it: tensors as JSON, or as bytes behind a JSON header."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import msgspec
import numpy as np
import numpy.typing as npt

LENGTH = "inference-header-content-length"  # of the JSON, where bytes follow it
Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = Mapping[str, Any]

_NUMPY = {
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "FP64": np.dtype("<f8"),
    "INT64": np.dtype("<i8"),
    "INT32": np.dtype("<i4"),
    "INT16": np.dtype("<i2"),
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


class ProtocolError(Exception):
    """A request that cannot be answered, and why; the client's fault."""


@dataclass(frozen=True)
class Asked:
    """One request for inference."""

    id: str | None
    inputs: Mapping[str, Array]
    binary: Mapping[str, bool]  # output -> whether it is wanted as bytes
    binary_by_default: bool

    def as_bytes(self, output: str) -> bool:
        """How an output is to travel."""
        return self.binary.get(output, self.binary_by_default)


def read(body: bytes, header_length: str | None) -> Asked:
    """The request in a body."""
    end = _end_of_header(header_length, len(body))
    view = memoryview(body)
    try:
        header = msgspec.json.decode(view[:end], type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the request is not JSON: {error}") from error
    inputs: dict[str, Array] = {}
    at = end
    for tensor in _list_of(header, "inputs"):
        name, size = str(tensor.get("name")), _parameters(tensor).get("binary_data_size")
        if size is None:
            inputs[name] = _from_json(name, tensor)
        else:
            inputs[name], at = _from_bytes(name, tensor, view[at : at + int(size)]), at + int(size)
    if at != len(body):
        raise ProtocolError(f"{len(body) - at} bytes of the request belong to no input")
    outputs = _list_of(header, "outputs") if "outputs" in header else []
    told = {str(o.get("name")): _parameters(o).get("binary_data") for o in outputs}
    return Asked(
        id=header.get("id"),
        inputs=inputs,
        binary={name: bool(wanted) for name, wanted in told.items() if wanted is not None},
        binary_by_default=bool(_parameters(header).get("binary_data_output", False)),
    )


def write(model: str, asked: Asked, outputs: Sequence[tuple[str, str, Array]]) -> tuple[list[bytes], int | None]:
    """The parts of an answer of (name, datatype, array), and the length of its JSON where bytes follow."""
    described: list[Json] = []
    raw: list[bytes] = []
    for name, datatype, array in outputs:
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if asked.as_bytes(name):
            raw.append(np.ascontiguousarray(array, dtype=_NUMPY[datatype]).tobytes())
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = array.ravel().tolist()
        described.append(tensor)
    answer: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": described}
    if asked.id is not None:
        answer["id"] = asked.id
    header = msgspec.json.encode(answer)
    return [header, *raw], len(header) if raw else None


def _end_of_header(length: str | None, size: int) -> int:
    if length is None:
        return size
    if not length.isdecimal() or int(length) > size:
        raise ProtocolError(f"{LENGTH} is {length!r}, and the body has {size} bytes")
    return int(length)


def _list_of(header: Json, key: str) -> list[Json]:
    value: object = header.get(key)
    if isinstance(value, list) and all(isinstance(one, dict) for one in cast("list[object]", value)):
        return cast("list[Json]", value)
    raise ProtocolError(f"the request has no list of {key}")


def _parameters(holder: Json) -> Json:
    told: object = holder.get("parameters")
    parameters: Json = cast("Json", told) if isinstance(told, dict) else {}
    if "shared_memory_region" in parameters:
        raise ProtocolError("this server has no shared memory; send the tensors themselves")
    return parameters


def _described(name: str, tensor: Json) -> tuple[np.dtype[Any], tuple[int, ...]]:
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if datatype not in _NUMPY:
        raise ProtocolError(f"input {name!r}: datatype {datatype!r} is none of {', '.join(_NUMPY)}")
    sizes = cast("list[object]", shape) if isinstance(shape, list) else [None]
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ProtocolError(f"input {name!r}: {shape!r} is no shape")
    return _NUMPY[datatype], tuple(cast("list[int]", sizes))


def _from_json(name: str, tensor: Json) -> Array:
    dtype, shape = _described(name, tensor)
    try:
        return np.asarray(tensor.get("data"), dtype=dtype).reshape(shape)
    except (TypeError, ValueError) as error:
        raise ProtocolError(
            f"input {name!r}: its data are no {list(shape)} of {tensor['datatype']}: {error}"
        ) from error


def _from_bytes(name: str, tensor: Json, raw: memoryview) -> Array:
    dtype, shape = _described(name, tensor)
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ProtocolError(f"input {name!r}: {list(shape)} of {tensor['datatype']} are not {len(raw)} bytes")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
