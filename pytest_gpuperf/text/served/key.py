"""The key that a server may want: sent as a bearer token, and never kept or shown."""

from __future__ import annotations

import os

from pytest_gpuperf.errors import UsageError

KEY = "OPENAI_API_KEY"  # of the environment


def _key() -> str:
    return os.environ.get(KEY, "").strip()


def authorization() -> dict[str, str]:
    """The header that shows the key; none where there is none."""
    key = _key()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"What {KEY} holds is no key: it has spaces, or signs that no header may have. Set it anew.")
    return {"Authorization": f"Bearer {key}"} if key else {}


def hidden(text: str) -> str:
    """A server may quote the key that it refuses."""
    key = _key()
    return text.replace(key, "***") if key else text
