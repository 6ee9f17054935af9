"""A tokeniser for models that have none here: a token for each byte, words for the rest, and a chat template."""
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from itertools import chain, count, product
from pathlib import Path
from typing import Any

from pytest_gpuperf.errors import UsageError

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
_SPACE = "Ġ"  # as byte-level tokenisers write it


def write_tokeniser(folder: Path, vocabulary: int, special: Mapping[str, int]) -> None:
    """Write one with exactly so many tokens. `special` gives the ids of ``bos_token`` and the like."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415 - optional
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - optional, and seconds

    reserved = {number: f"<|{role}|>" for role, number in special.items()}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocabulary < len(alphabet) + len(reserved):
        raise UsageError(
            f"The model has {vocabulary} tokens: too few for a tokeniser of bytes, which its server needs. Give one "
            f"with at least {len(alphabet) + len(reserved)}, or a folder with a tokeniser of its own."
        )
    texts = chain(alphabet, _words())
    tokens = {reserved[number] if number in reserved else next(texts): number for number in range(vocabulary)}
    tokeniser: Any = Tokenizer(models.BPE(vocab=tokens, merges=[]))
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    tokeniser.add_special_tokens(list(reserved.values()))
    roles = {role: reserved[number] for role, number in special.items()}
    PreTrainedTokenizerFast(
        tokenizer_object=tokeniser, chat_template=CHAT_TEMPLATE, clean_up_tokenization_spaces=False, **roles
    ).save_pretrained(folder)


def _words() -> Iterator[str]:
    """No text is cut into these, but a model may write them."""
    for length in count(2):
        yield from (_SPACE + "".join(letters) for letters in product(string.ascii_lowercase, repeat=length))
