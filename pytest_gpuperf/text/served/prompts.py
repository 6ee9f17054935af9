"""Prompts that differ from one another: a server's cache of prefixes must not answer for it."""

from __future__ import annotations

import random
from collections.abc import Callable

# One token each for most tokenisers.
_TEXT = """
about above after again air all almost along also always animal another answer any around ask away back because
become been before began begin being below between big black body book both bring build called came cannot car
carry change children city close cold come could country cut day did different does door down draw during each
early earth east eat end enough even ever every example eye face fall family far father feet few field find fire
first fish five follow food form found four friend from full gave general get girl give good got great green
ground group grow half hand hard has have head hear heart help her here high him his home horse hour house
"""
_WORDS = _TEXT.split()
_SHORT, _LONG = 8, 72  # words of the two prompts that show how many tokens a word is


def drawn(count: int, words: int, seed: int) -> list[str]:
    """So many prompts of so many words."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    return [" ".join(chance.choices(_WORDS, k=words)) for _ in range(count)]


def words_for(tokens: int, tokens_of: Callable[[str], int | None]) -> int:
    """How many words make a prompt of about so many tokens, the chat's template counted; as many, where none counts."""
    short, long = (tokens_of(*drawn(1, words, seed=words)) for words in (_SHORT, _LONG))
    if short is None or long is None or long <= short:
        return tokens
    each = (long - short) / (_LONG - _SHORT)
    template = short - each * _SHORT
    return max(1, round((tokens - template) / each))
