"""KServe v2 as our server reads and writes it, against tritonclient's own writing and reading."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tritonclient.http as client
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pytest_gpuperf.serving.kserve import ProtocolError, read, write

TYPES = {
    "FP32": "f4",
    "FP16": "f2",
    "FP64": "f8",
    "INT64": "i8",
    "INT32": "i4",
    "INT16": "i2",
    "INT8": "i1",
    "BOOL": "?",
}


@st.composite
def tensors(draw):
    datatype = draw(st.sampled_from(sorted(TYPES)))
    shape = draw(array_shapes(min_dims=1, max_dims=3, max_side=4))
    elements = {"allow_nan": False, "allow_infinity": False} if datatype.startswith("FP") else None
    return datatype, draw(arrays(TYPES[datatype], shape, elements=elements))


@settings(deadline=None, max_examples=60)
@given(given_tensors=st.lists(tensors(), min_size=1, max_size=3), binary=st.booleans(), outputs=st.booleans())
def test_what_a_client_writes_is_read_and_what_is_written_a_client_reads(given_tensors, binary, outputs):
    inputs, wanted = [], []
    for index, (datatype, array) in enumerate(given_tensors):
        one = client.InferInput(f"x{index}", list(array.shape), datatype)
        # JSON has no half precision: the client refuses it there.
        one.set_data_from_numpy(array, binary_data=binary or datatype == "FP16")
        inputs.append(one)
        wanted.append(client.InferRequestedOutput(f"x{index}", binary_data=binary or datatype == "FP16"))
    body, length = client.InferenceServerClient.generate_request_body(inputs, outputs=wanted if outputs else None)
    asked = read(bytes(body), None if length is None else str(length))
    for index, (datatype, array) in enumerate(given_tensors):
        assert asked.inputs[f"x{index}"].dtype == TYPES[datatype]
        np.testing.assert_array_equal(asked.inputs[f"x{index}"], array)
    answer = [
        (name, datatype, asked.inputs[name]) for (datatype, _), name in zip(given_tensors, asked.inputs, strict=True)
    ]
    parts, header = write("m", asked, answer)
    result = client.InferenceServerClient.parse_response_body(b"".join(parts), header_length=header)
    for index, (_, array) in enumerate(given_tensors):
        np.testing.assert_array_equal(result.as_numpy(f"x{index}"), array)


ONE = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}


def body(**changes) -> bytes:
    tensor = ONE | changes
    return json.dumps({"id": "7", "inputs": [tensor]}).encode()


def test_nested_data_and_the_request_s_id_come_back():
    asked = read(body(data=[[1, 2]]), None)
    np.testing.assert_array_equal(asked.inputs["x"], [[1, 2]])
    parts, header = write("m", asked, [("y", "FP32", np.zeros((1, 1), "f4"))])
    assert header is None
    assert json.loads(parts[0]) == {
        "model_name": "m",
        "model_version": "1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [0.0]}],
        "id": "7",
    }


def test_an_output_may_be_asked_for_as_numbers_where_bytes_are_the_rule():
    raw = json.dumps(
        {
            "inputs": [],
            "parameters": {"binary_data_output": True},
            "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
        }
    ).encode()
    asked = read(raw, None)
    assert asked.as_bytes("a")
    assert not asked.as_bytes("b")


@pytest.mark.parametrize(
    ("content", "length", "says"),
    [
        (b"{", None, "the request is not JSON"),
        (b"{}", None, "has no list of inputs"),
        (b'{"inputs": [1]}', None, "has no list of inputs"),
        (b'{"inputs": []} ', "14", "1 bytes of the request belong to no input"),
        (b"{}", "9", "is '9', and the body has 2 bytes"),
        (b"{}", "x", "is 'x'"),
        (body(datatype="BYTES"), None, "datatype 'BYTES' is not one of FP32"),
        (body(shape=[-1, 2]), None, r"whole numbers from 0, not \[-1, 2\]"),
        (body(shape="2"), None, "whole numbers from 0, not '2'"),
        (body(shape=[3]), None, "its data are no"),
        (body(data="ab"), None, "its data are no"),
        (body(parameters={"binary_data_size": 4}), None, "binary_data_size is 4, and 0 bytes follow"),
        (body(parameters={"binary_data_size": -4}), None, "binary_data_size is -4"),
        (body(parameters={"binary_data_size": "4"}), None, "binary_data_size is '4'"),
        (body(parameters={"binary_data_size": True}), None, "binary_data_size is True"),
        (body(parameters=[1]), None, r"parameters must be an object, not \[1\]"),
        (body(shape=[True, 2]), None, "whole numbers from 0, not"),
        (body(shape=[2**70, 2]), None, "its data are no"),
        (body(datatype=["FP32"]), None, r"datatype \['FP32'\] is not one of FP32"),
        (body(name=7), None, "a tensor's name must be a string, not 7"),
        (body(data=None), None, "its data are no"),
        (body(data=[1, None]), None, "its data are no"),
        (body(data=["1", "2"]), None, "its data are no"),
        (body(data=[True, False]), None, "its data are no"),
        (body(data=[1, 1e39]), None, "one is out of range"),
        (body(data=[[1], [2, 3]]), None, "its data are no"),
        (body(datatype="INT64", data=[1.5, 2]), None, "some are not of that type"),
        (body(datatype="INT8", data=[1, 300]), None, "one is out of range"),
        (body(datatype="UINT8", data=[1, -1]), None, "one is out of range"),
        (body(datatype="BOOL", data=[0, 1]), None, "some are not of that type"),
        (b"{}", "9" * 5000, "is '9999"),
        (b'{"inputs": ' + b"[" * 100_000, None, "the request is not JSON"),
        (b'{"inputs": "\xff"}', None, "the request is not JSON"),
        (b'{"id": 7, "inputs": []}', None, "the request's id must be a string, not 7"),
        (
            b'{"inputs": [], "outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}',
            None,
            "binary_data must be true or false, not 1",
        ),
        (b"[]", None, "the request is not JSON"),
        (body().replace(b"}]", b"}, {}]"), None, "a tensor's name must be a string, not None"),
        (b'{"inputs": [%s, %s]}' % ((json.dumps(ONE).encode(),) * 2), None, "input 'x' is given twice"),
        (body(parameters={"shared_memory_region": "r"}), None, "has no shared memory"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(content, length, says):
    with pytest.raises(ProtocolError, match=says):
        read(content, length)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = ("id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", "binary_data_size")


@settings(deadline=None, max_examples=300)
@given(
    place=st.sampled_from(PLACES), value=json_values, more=st.binary(max_size=9), length=st.none() | st.integers(0, 99)
)
def test_whatever_a_client_sends_is_read_or_refused(place, value, more, length):
    told = {"id": "7", "inputs": [ONE | {"parameters": {}}], "outputs": [{"name": "y"}], "parameters": {}}
    tensor = told["inputs"][0]
    holder = told if place in told else tensor["parameters"] if place == "binary_data_size" else tensor
    holder[place] = value
    try:
        asked = read(json.dumps(told).encode() + more, None if length is None else str(length))
    except ProtocolError:
        return
    assert all(array.dtype.kind in "fiub" for array in asked.inputs.values())
