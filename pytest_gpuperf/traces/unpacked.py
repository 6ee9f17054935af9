"""A file's bytes in chunks, unpacked where it is a gzip: how many were read, their hash, and where it breaks off."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from pytest_gpuperf.errors import FileError

_CHUNK = 1 << 20  # bytes: more holds more memory, and reads no faster
_LITTLE = 128
_GZIP = b"\x1f\x8b"
SAY_EVERY = 5.0  # seconds: a file that is read sooner needs no progress

Say = Callable[[str], None]


class Unpacked:
    """What is in one file, once, from its start to its end."""

    def __init__(self, path: Path, say: Say | None = None) -> None:
        """Nothing is read yet."""
        self._path = path
        self._progress = Progress(path, say)
        self._hash = hashlib.sha256()
        self.damage: str | None = None  # why the rest of a gzip cannot be unpacked

    @property
    def sha256(self) -> str:
        """Of the file as it lies there. Whole only when all chunks were taken."""
        return self._hash.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """A damaged gzip gives what comes before the damage."""
        unpacker: Any = None
        for number, raw in enumerate(self._raw()):
            if number == 0 and raw.startswith(_GZIP):
                unpacker = zlib.decompressobj(wbits=31)
            if unpacker is None:
                yield raw
            else:
                unpacker = yield from self._members(unpacker, raw)
        if unpacker is not None and not unpacker.eof and self.damage is None:
            self.damage = "the gzip ends in the middle"

    def _members(self, unpacker: Any, raw: bytes) -> Generator[bytes, None, Any]:
        """A gzip may be several, one after another."""
        while raw and self.damage is None:
            before = unpacker.copy()
            try:
                data = unpacker.decompress(raw, _CHUNK)
            except zlib.error as error:
                self.damage = f"the gzip is damaged ({error})"
                data = _up_to_damage(before, raw)
            yield data
            raw = unpacker.unconsumed_tail
            if unpacker.eof:
                raw = unpacker.unused_data
                if raw:
                    unpacker = zlib.decompressobj(wbits=31)
        return unpacker

    def _raw(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                while raw := file.read(_CHUNK):
                    self._hash.update(raw)
                    yield raw
                    self._progress.read(len(raw))
        except OSError as error:
            raise unreadable(self._path, error) from error


def _up_to_damage(unpacker: Any, raw: bytes) -> bytes:
    """What an unpacker does not give, when it meets damage in more than a little at a time."""
    found = bytearray()
    with suppress(zlib.error):
        for at in range(0, len(raw), _LITTLE):
            found += unpacker.decompress(raw[at : at + _LITTLE])
    return bytes(found)


class Progress:
    """How much of a large file was read, now and then."""

    def __init__(self, path: Path, say: Say | None) -> None:
        """The clock runs."""
        self._path, self._say, self._done, self._last = path, say, 0, monotonic()
        try:
            self._all = max(1, path.stat().st_size)
        except OSError as error:
            raise unreadable(path, error) from error

    def read(self, count: int) -> None:
        """So many bytes more."""
        self._done += count
        if self._say is not None and monotonic() - self._last > SAY_EVERY:
            self._last = monotonic()
            self._say(f"{self._path.name}: {self._done / self._all:.0%} of {self._all / 1e6:,.0f} MB read")


def unreadable(path: Path, error: OSError) -> FileError:
    """The system does not let us read it."""
    if isinstance(error, IsADirectoryError):
        return FileError(f"{path} is a folder: name the traces in it.")
    return FileError(f"{path}: {error.strerror or error}.")
