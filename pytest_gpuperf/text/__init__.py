"""Text generation: models that write, one token after the other, and when each token came."""

from __future__ import annotations

from importlib import util
from typing import TYPE_CHECKING, Any, Protocol

from pytest_gpuperf.deferred import deferred

if TYPE_CHECKING:
    from pytest_gpuperf.text.model import TextModel, load_text

__all__ = ["CausalModel", "TextModel", "lacking", "load_text"]

__getattr__ = deferred(
    __name__, {"TextModel": "pytest_gpuperf.text.model", "load_text": "pytest_gpuperf.text.model"}
)  # torch and transformers may be missing


class CausalModel(Protocol):
    """A causal language model of transformers, loaded by its user."""

    config: Any
    generate: Any


def lacking() -> str | None:
    """What text generation needs and does not find here, with the command that installs it."""
    missing = [package for package in ("torch", "transformers") if util.find_spec(package) is None]
    if not missing:
        return None
    return (
        f"Text generation needs {' and '.join(missing)}, not installed here. Install what it needs: "
        f"pip install 'pytest-gpuperf[text]'"
    )
