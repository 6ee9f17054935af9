"""The model that llama.cpp's server is tried with: half a megabyte, the same bytes every time."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai_client import require

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.text.served.tiny_gguf import tiny, write_tiny


def test_it_is_the_same_file_whoever_writes_it(tmp_path):
    require("gguf")
    with ThreadPoolExecutor(4) as threads:
        files = list(threads.map(write_tiny, [tmp_path / "one.gguf"] * 3 + [tmp_path / "other" / "two.gguf"]))
    assert len({file.read_bytes() for file in files}) == 1
    assert 100_000 < files[0].stat().st_size < 1_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.gguf", "other"], "nothing unfinished is left"


def test_it_is_kept_in_the_cache_of_the_user(tmp_path, monkeypatch):
    require("gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tiny()
    assert tmp_path in kept.parents
    before = kept.stat().st_mtime_ns
    assert tiny() == kept
    assert kept.stat().st_mtime_ns == before


def test_what_cannot_be_finished_leaves_nothing(tmp_path):
    require("gguf")
    (tmp_path / "taken.gguf").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_tiny(tmp_path / "taken.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.gguf"]


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingError, match=r"gguf, not installed here.*pip install 'pytest-gpuperf\[text\]'"):
        write_tiny(tmp_path / "one.gguf")
