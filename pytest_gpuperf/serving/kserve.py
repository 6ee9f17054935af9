"""The KServe v2 protocol, as a server reads and writes it: tensors as JSON, or as bytes behind a JSON header."""

from __future__ import annotations

import math
import re
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


# Kinds of JSON numbers that each kind of tensor takes: 1 is a float too.
_KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}


class ProtocolError(Exception):
    """A request that cannot be answered, and why; the client's fault."""


@dataclass(frozen=True)
class Asked:
    """One request for inference."""

    id: str | None
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]  # those that are wanted; none named: all
    binary: Mapping[str, bool]  # output -> whether it is wanted as bytes
    binary_by_default: bool

    def wants(self, output: str) -> bool:
        """Whether an output is to be in the answer."""
        return not self.outputs or output in self.outputs

    def as_bytes(self, output: str) -> bool:
        """How an output is to travel."""
        return self.binary.get(output, self.binary_by_default)


def read(body: bytes, header_length: str | None) -> Asked:
    """The request in a body."""
    end = _end_of_header(header_length, len(body))
    view = memoryview(body)
    try:
        header = msgspec.json.decode(view[:end], type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # bytes that are no text; nested too deeply
        raise ProtocolError(f"the request is not JSON: {error}") from error
    inputs: dict[str, Array] = {}
    at = end
    for tensor in _list_of(header, "inputs"):
        name, size = _name_of(tensor), _parameters(tensor).get("binary_data_size")
        if name in inputs:
            raise ProtocolError(f"input {name!r} is given twice")
        if size is None:
            inputs[name] = _from_json(name, tensor)
        elif _is_count(size) and size <= len(body) - at:
            inputs[name], at = _from_bytes(name, tensor, view[at : at + size]), at + size
        else:
            raise ProtocolError(f"input {name!r}: binary_data_size is {size!r}, and {len(body) - at} bytes follow")
    if at != len(body):
        raise ProtocolError(f"{len(body) - at} bytes of the request belong to no input")
    outputs = _list_of(header, "outputs") if "outputs" in header else []
    binary_by_output = {_name_of(o): _flag(_parameters(o), "binary_data") for o in outputs}
    request_id = header.get("id")
    if not isinstance(request_id, str | None):
        raise ProtocolError(f"the request's id must be a string, not {request_id!r}")
    return Asked(
        id=request_id,
        inputs=inputs,
        outputs=tuple(binary_by_output),
        binary={name: flag for name, flag in binary_by_output.items() if flag is not None},
        binary_by_default=_flag(_parameters(header), "binary_data_output") or False,
    )


def write(model: str, asked: Asked, outputs: Sequence[tuple[str, str, Array]]) -> tuple[list[bytes], int | None]:
    """The parts of an answer of (name, datatype, array), and the length of its JSON where bytes follow."""
    described: list[Json] = []
    raw: list[bytes] = []
    for name, datatype, array in outputs:
        if not asked.wants(name):
            continue
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


def datatype_of(array: Array) -> str:
    """What the protocol calls an array's type."""
    return next(name for name, dtype in _NUMPY.items() if dtype == array.dtype)


def _end_of_header(length: str | None, size: int) -> int:
    if length is None:
        return size
    if not re.fullmatch("[0-9]{1,12}", length) or int(length) > size:
        raise ProtocolError(f"{LENGTH} is {length[:20]!r}, and the body has {size} bytes")
    return int(length)


def _list_of(header: Json, key: str) -> list[Json]:
    value: object = header.get(key)
    if isinstance(value, list) and all(isinstance(one, dict) for one in cast("list[object]", value)):
        return cast("list[Json]", value)
    raise ProtocolError(f"the request has no list of {key}")


def _name_of(tensor: Json) -> str:
    name = tensor.get("name")
    if isinstance(name, str):
        return name
    raise ProtocolError(f"a tensor's name must be a string, not {name!r}")


def _flag(parameters: Json, key: str) -> bool | None:
    value = parameters.get(key)
    if isinstance(value, bool | None):
        return value
    raise ProtocolError(f"{key} must be true or false, not {value!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _parameters(holder: Json) -> Json:
    value: object = holder.get("parameters", {})
    if not isinstance(value, dict):
        raise ProtocolError(f"parameters must be an object, not {value!r}")
    parameters = cast("Json", value)
    if "shared_memory_region" in parameters:
        raise ProtocolError("this server has no shared memory; send the tensors themselves")
    return parameters


def _described(name: str, tensor: Json) -> tuple[np.dtype[Any], tuple[int, ...]]:
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if not isinstance(datatype, str) or datatype not in _NUMPY:
        raise ProtocolError(f"input {name!r}: datatype {datatype!r} is not one of {', '.join(_NUMPY)}")
    sizes = cast("list[object]", shape) if isinstance(shape, list) else [None]
    if not all(map(_is_count, sizes)):
        raise ProtocolError(f"input {name!r}: the shape must be a list of whole numbers from 0, not {shape!r}")
    return _NUMPY[datatype], tuple(cast("list[int]", sizes))


def _from_json(name: str, tensor: Json) -> Array:
    """Only the numbers that stand in the request: numpy alone would read null and "1.5" as numbers too."""
    dtype, shape = _described(name, tensor)
    try:
        given = np.asarray(tensor.get("data"))
        if given.size and given.dtype.kind not in _KINDS[dtype.kind]:
            raise ValueError("some are not of that type")  # noqa: TRY301
        with np.errstate(over="ignore"):
            made = given.astype(dtype)
        if dtype.kind in "iu" and not np.array_equal(made, given):
            raise ValueError("one is out of range")  # noqa: TRY301
        if dtype.kind == "f" and not np.isfinite(made).all():
            raise ValueError("one is out of range")  # noqa: TRY301
        return made.reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(
            f"input {name!r}: its data are no {list(shape)} of {tensor['datatype']}: {error}"
        ) from error


def _from_bytes(name: str, tensor: Json, raw: memoryview) -> Array:
    dtype, shape = _described(name, tensor)
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ProtocolError(f"input {name!r}: {list(shape)} of {tensor['datatype']} are not {len(raw)} bytes")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
