"""Text generation: models that write, one token after the other, and when each token came."""

from __future__ import annotations

from pytest_gpuperf.text.model import TextModel, load_text

__all__ = ["TextModel", "load_text"]
