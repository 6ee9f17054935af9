"""Names that a package offers, and imports only when somebody asks for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def deferred(package: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """A package's ``__getattr__``: `names` says in which module each of them is."""

    def find(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(names[name]), name)

    return find
