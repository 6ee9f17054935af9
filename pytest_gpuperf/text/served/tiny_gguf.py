"""A language model of half a megabyte in a file of llama.cpp's: random weights, and each byte is a token."""
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.scratch import cache_folder
from pytest_gpuperf.text.served.byte_tokens import CHAT_TEMPLATE

_EDITION = "1"  # of the model: a kept file of another one is not taken
_CONTEXT = 32768
_SPECIAL = (b"<unk>", b"<s>", b"</s>")
_BYTES = 256
_VOCABULARY = len(_SPECIAL) + _BYTES
_UNKNOWN, _CONTROL, _BYTE = 2, 3, 6  # types of tokens, as GGUF numbers them
_PRINTABLE = range(0x20, 0x7F)
_SEED = 0


@dataclass(frozen=True)
class Size:
    """How large a model is."""

    width: int = 64
    blocks: int = 2
    heads: int = 4

    @property
    def inner(self) -> int:
        """Of a block's feed-forward part."""
        return 2 * self.width


_TINY = Size()


def tiny() -> Path:
    """The file in this user's cache, written when it is first asked for."""
    path = cache_folder() / "gguf" / _EDITION / "tiny.gguf"
    return path if path.exists() else write_tiny(path)


def write_tiny(path: Path, size: Size = _TINY) -> Path:
    """Write a model there, whole or not at all."""
    if util.find_spec("gguf") is None:
        raise MissingError(
            "A small model for llama.cpp is written with gguf, not installed here. Install what it needs: "
            "pip install 'pytest-gpuperf[text]'. Or give a file of yours: text_server(\"MODEL.gguf\")."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix="tiny-", dir=path.parent)
    os.close(handle)
    try:
        _write(unfinished, size)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink()
        raise
    return path


def _write(path: str, size: Size) -> None:
    from gguf import GGUFWriter  # noqa: PLC0415 - optional

    writer: Any = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(size.width)
    writer.add_block_count(size.blocks)
    writer.add_feed_forward_length(size.inner)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(size.width // size.heads)
    writer.add_vocab_size(_VOCABULARY)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*_SPECIAL, *(b"<0x%02X>" % byte for byte in range(_BYTES))])
    writer.add_token_scores([0.0] * _VOCABULARY)
    writer.add_token_types([_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * _BYTES])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, tensor in _weights(size).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(size: Size) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    generator = np.random.default_rng(_SEED)

    def drawn(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return (generator.standard_normal(shape) / np.sqrt(size.width)).astype(np.float32)

    ones = np.ones(size.width, np.float32)
    # Only letters and signs are likely: text that can be read, and hardly ever an end before so many tokens.
    output = np.zeros((_VOCABULARY, size.width), np.float32)
    output[[len(_SPECIAL) + byte for byte in _PRINTABLE]] = 3 * drawn(len(_PRINTABLE), size.width)
    weights = {"token_embd.weight": drawn(_VOCABULARY, size.width), "output_norm.weight": ones, "output.weight": output}
    for number in range(size.blocks):
        block = {
            "attn_norm": ones,
            "attn_q": drawn(size.width, size.width),
            "attn_k": drawn(size.width, size.width),
            "attn_v": drawn(size.width, size.width),
            "attn_output": drawn(size.width, size.width),
            "ffn_norm": ones,
            "ffn_gate": drawn(size.inner, size.width),
            "ffn_up": drawn(size.inner, size.width),
            "ffn_down": drawn(size.width, size.inner),
        }
        weights |= {f"blk.{number}.{name}.weight": tensor for name, tensor in block.items()}
    return weights
