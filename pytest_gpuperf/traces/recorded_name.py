"""What the file of a case's trace is called: safe on every system, and no two cases alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

SUFFIX = ".json.gz"
_LONGEST = 120  # characters before the hash: file systems take 255 bytes in all
_DIGITS = 8  # of the hash of the case's whole id
_VIT = re.compile(r"vit:p(\d+)-d(\d+)-h(\d+)-r(\d+)")
_SIZES = ("patch", "depth", "hidden", "resolution")
_WAYS = ("backend", "place", "design")  # parameters that say how a model is run


def trace_name(case: str, parameters: Mapping[str, str], gpu: int | None, node: int | None) -> str:
    """``test_models-test_model-resnet50-fp32-eager-8-3f2a91c4.json.gz``, from the case's id.

    A vision transformer is named as studies of them do: ``gpu0_numa1_vit16x12x768_compile-r224-3f2a91c4.json.gz``. What
    is not known of it, the GPU or the node, is left out.
    """
    own = sha256(case.encode()).hexdigest()[:_DIGITS]
    sizes = _vit_sizes(parameters)
    if sizes is None:
        file, _, name = case.partition("::")
        words = f"{file.rpartition('/')[2].removesuffix('.py')}-{name}"
        return f"{_safe(words)[:_LONGEST].rstrip('-.') or 'case'}-{own}{SUFFIX}"
    patch, depth, hidden, resolution = sizes
    where = (None if gpu is None else f"gpu{gpu}", None if node is None else f"numa{node}")
    way = next((_safe(parameters[name])[:_LONGEST] for name in _WAYS if name in parameters), "eager")
    return "_".join((*filter(None, where), f"vit{patch}x{depth}x{hidden}", f"{way}-r{resolution}-{own}")) + SUFFIX


def _vit_sizes(parameters: Mapping[str, str]) -> tuple[str, ...] | None:
    named = _VIT.fullmatch(parameters.get("model", ""))
    if named is not None:
        return named.groups()
    apart = tuple(parameters.get(name, "") for name in _SIZES)
    return apart if all(map(str.isdecimal, apart)) else None


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")
