"""Folders that gpuperf fills: each carries a mark, appears whole, and never takes the place of somebody else's."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pytest_gpuperf.errors import FileError

MARK = ".made-by-gpuperf"  # an empty file: what carries it may be replaced


@contextmanager
def replaced_folder(place: Path) -> Generator[Path]:
    """A new folder to fill. It takes its place once that is done; until then, and after an error, the old one stays."""
    _refuse_foreign(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        yield new
        (new / MARK).touch()
        _refuse_foreign(place)  # filling it took a while
        if place.exists():
            place.rename(Path(scratch, "old"))
        new.rename(place)


def _refuse_foreign(place: Path) -> None:
    """Only what is not there, is empty, or was made here may be replaced. A link leads to somebody else's."""
    if place.is_symlink():
        what = "it is a link"
    elif not place.exists() or (place / MARK).is_file():
        return
    elif not place.is_dir():
        what = "it is a file"
    elif any(place.iterdir()):
        what = "it is not empty, and gpuperf did not make it"
    else:
        return
    raise FileError(f"{place} is left as it is: {what}. Choose another place, or move it away.")
