"""Models that write text: phi-2, and any of transformers' causal models; their weights are random, or trained ones.

At the scale "smoke" a model keeps its kind and its heads' grouping, and is narrow: two layers of 128.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pytest_gpuperf.errors import MissingError, UsageError
from pytest_gpuperf.models import Scale
from pytest_gpuperf.text import lacking

PREFIX = "text:"
_KNOWN: dict[str, tuple[str, dict[str, Any]]] = {  # our name -> where it is published, and its configuration
    "phi-2": (
        "microsoft/phi-2",
        {
            "model_type": "phi",
            "vocab_size": 51200,
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "max_position_embeddings": 2048,
            "partial_rotary_factor": 0.4,
        },
    ),
}
_WIDTH, _LAYERS, _HEADS, _VOCABULARY = 128, 2, 4, 512
_NARROW: dict[str, int] = {  # by the names that transformers' configurations use
    **dict.fromkeys(("hidden_size", "n_embd", "d_model"), _WIDTH),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_dim"), 4 * _WIDTH),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers"), _LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head"), _HEADS),
    "head_dim": _WIDTH // _HEADS,
    "vocab_size": _VOCABULARY,
}
_SEED = 0


@dataclass(frozen=True)  # without slots: evidence looks for parameters in what an object holds
class TextModel:
    """A causal language model where it is to run, and what is needed to ask it something."""

    name: str
    scale: Scale
    module: Any  # a transformers model in eval mode
    published: str | None  # where its tokeniser is; None: nowhere
    pretrained: bool = False

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return int(self.module.config.get_text_config().vocab_size)

    @property
    def context(self) -> int | None:
        """How many tokens it can have before it, prompt and answer together; None where it does not say."""
        return getattr(self.module.config.get_text_config(), "max_position_embeddings", None)

    @cached_property
    def tokenizer(self) -> Any:
        """What cuts texts for it; MissingError where there is none here."""
        if self.published is None:
            raise MissingError(
                f"{self.name} has no tokeniser. Give prompts as lists of token ids, or how many to draw."
            )
        from transformers import AutoTokenizer  # noqa: PLC0415 - seconds, and only prompts of text need it

        try:
            return AutoTokenizer.from_pretrained(self.published)
        except (OSError, ValueError) as error:
            raise MissingError(
                f"Prompts of text need the tokeniser of {self.published}, which could not be had "
                f"({_first_line(error)}). Give prompts as lists of token ids, or how many to draw: prompts=8 (gpuperf "
                f"energy-score: leave --prompts out)."
            ) from error

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as its tokeniser cuts them."""
        cut = self.tokenizer
        known = self.vocabulary  # of a narrow twin it is smaller than its tokeniser's
        return [[token % known for token in cut(text)["input_ids"]] for text in texts]


def text_of(module: Any, device: torch.device, dtype: torch.dtype) -> TextModel:
    """A model of the user's own, as it is and where it is."""
    name = type(module).__name__
    if not callable(getattr(module, "generate", None)) or not hasattr(module, "config"):
        raise UsageError(
            f"{name} is no causal language model of transformers: it has no generate() or no config. Give one, or a "
            f"name: text:phi-2."
        )
    weights: torch.nn.Parameter = next(module.parameters())
    if (weights.device.type, weights.device.index or 0) != (device.type, device.index or 0):
        raise UsageError(
            f"{name} is on {weights.device}, and this session measures {device}: call model.to({str(device)!r})."
        )
    if weights.dtype != dtype:
        raise UsageError(
            f"The weights of {name} are {_bare(weights.dtype)}, and those of the precision that was asked for are "
            f"{_bare(dtype)}. Say which it is, like precision='fp16', or convert it."
        )
    if module.training:
        raise UsageError(f"{name} is in training mode, in which it computes other things. Call model.eval() first.")
    published = getattr(module.config, "_name_or_path", "") or None
    return TextModel(name, "full", module, published, pretrained=True)


def _bare(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def load_text(
    name: str,
    scale: Scale = "full",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    pretrained: bool = False,
) -> TextModel:
    """Build ``text:NAME``: phi-2, a name of the model hub, or a folder with a ``config.json``."""
    where = torch.device(device)
    reason = lacking()
    if reason is not None:
        raise MissingError(f"{name}: {reason}")
    if not name.startswith(PREFIX) or name == PREFIX:
        raise UsageError(
            f"{name!r} is no language model. Write {', '.join(PREFIX + n for n in _KNOWN)}, text:NAME of the model "
            f"hub, or text:FOLDER with a config.json."
        )
    if pretrained and scale != "full":
        raise UsageError(f"{name}: pretrained weights fit the full size only. Ask for scale='full'.")
    bare = name.removeprefix(PREFIX)
    published, given = _KNOWN.get(bare, (bare, None))
    if pretrained:
        module = _fetched(name, published, dtype).to(where)
    else:
        config = _configuration(name, published, given)
        module = _random(narrow(config) if scale == "smoke" else config, where, dtype)
    return TextModel(name, scale, module.eval(), published, pretrained)


def _configuration(name: str, published: str, given: dict[str, Any] | None) -> Any:
    from transformers import AutoConfig  # noqa: PLC0415 - optional, and seconds

    if given is not None:
        return AutoConfig.for_model(**given)
    near = get_close_matches(published, _KNOWN, 1)
    if near and "/" not in published and not Path(published).exists():  # the hub would be asked for half a minute
        raise UsageError(f"There is no model {name!r}. Did you mean {PREFIX + near[0]!r}?")
    try:
        return AutoConfig.from_pretrained(published)
    except (OSError, ValueError) as error:
        where = "in that folder" if Path(published).exists() else "in a folder of that name, or on the hub"
        raise MissingError(
            f"{name}: no configuration was found {where} ({_first_line(error)}). Give a folder that has a "
            f"config.json: text:FOLDER."
        ) from error


def narrow(config: Any) -> Any:
    """The same kind of model, small enough for a laptop."""
    inner = config.get_text_config()
    heads = getattr(inner, "num_attention_heads", None)
    groups = getattr(inner, "num_key_value_heads", None)
    for field, value in _NARROW.items():
        if getattr(inner, field, None) is not None:
            setattr(inner, field, value)
    if heads and groups:  # as many queries share a key as before, or nearly
        inner.num_key_value_heads = _HEADS if groups == heads else 1 if groups == 1 else _HEADS // 2
    if getattr(inner, "layer_types", None):
        inner.layer_types = inner.layer_types[:_LAYERS]
    for token in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = getattr(inner, token, None)
        if isinstance(value, int) and value >= _VOCABULARY:
            setattr(inner, token, _VOCABULARY - 1)
    return config


def _random(config: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Weights of a seed, drawn where they are used: a processor takes a minute for what a card draws in a second."""
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        torch.manual_seed(_SEED)
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def _fetched(name: str, published: str, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    try:
        return AutoModelForCausalLM.from_pretrained(published, dtype=dtype)
    except (OSError, ValueError) as error:
        raise MissingError(
            f"{name}: its trained weights could not be had ({_first_line(error)}). Random weights take as long to run: "
            f"leave pretrained=True out."
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
