"""Folders that gpuperf fills: it replaces its own, whole, and nobody else's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.folders import replaced_folder


def fill(place: Path, name: str) -> None:
    with replaced_folder(place) as new:
        (new / name).touch()


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_it_is_made_with_the_folders_above_it_and_replaced_whole(tmp_path):
    place = tmp_path / "above" / "place"
    fill(place, "one")
    fill(place, "two")
    assert names(place) == ["two"]
    assert [p.name for p in place.parent.iterdir()] == ["place"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "place").mkdir()
    fill(tmp_path / "place", "one")
    assert names(tmp_path / "place") == ["one"]


def test_after_an_error_the_old_one_stays(tmp_path):
    fill(tmp_path / "place", "one")
    with pytest.raises(FileNotFoundError), replaced_folder(tmp_path / "place") as new:
        (new / "nowhere" / "two").touch()
    assert names(tmp_path / "place") == ["one"]
    assert names(tmp_path) == ["place"]


def somebodys(place: Path) -> None:
    place.mkdir()
    (place / "thesis.txt").touch()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (somebodys, "it is not empty, and gpuperf did not make it"),
        (Path.touch, "it is a file"),
        (lambda place: place.symlink_to(place.parent), "it is a link"),
        (lambda place: place.symlink_to(place.parent / "nowhere"), "it is a link"),
    ],
    ids=["folder", "file", "link", "dead link"],
)
def test_what_is_somebody_elses_is_left_as_it_is(make, why, tmp_path):
    place = tmp_path / "place"
    make(place)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileError, match=re.escape(f"{place} is left as it is: {why}.")):
        fill(place, "one")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_somebody_puts_there_meanwhile_is_left_too(tmp_path):
    place = tmp_path / "place"
    with pytest.raises(FileError, match="it is not empty"), replaced_folder(place):
        somebodys(place)
    assert names(place) == ["thesis.txt"]
    assert names(tmp_path) == ["place"]
