"""Which models a server has, as the ``/models`` of OpenAI's API lists them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import DecodeError, Struct, json


class ListedModel(Struct, frozen=True):
    """One model that can be asked for."""

    id: str
    owned_by: str | None = None  # what serves it, where the server says that there: "vllm", "llamacpp"


class _Models(Struct):
    data: Sequence[ListedModel]


def read_models(content: bytes) -> Sequence[ListedModel]:
    """The models in the server's answer; ValueError where it lists none in the way that OpenAI's API does."""
    try:
        return json.decode(content, type=_Models).data
    except DecodeError as error:
        raise ValueError(str(error)) from None
