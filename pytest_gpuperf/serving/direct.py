"""Questions to a server, by the way its requests go: past any proxy that the environment names."""

from __future__ import annotations

from urllib.request import ProxyHandler, build_opener

_OPENER = build_opener(ProxyHandler({}))


def got(url: str, timeout: float) -> bytes:
    """What an http:// address answers; OSError where it answers nothing, or anything but success."""
    with _OPENER.open(url, timeout=timeout) as answer:
        content: bytes = answer.read()
    return content
