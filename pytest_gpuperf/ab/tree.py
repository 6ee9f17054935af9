"""A folder of files in which no symbolic link is followed: what is put there or removed there cannot land elsewhere.

A revision may track a link where another has a folder, and a link may lead out of the repository. So every path is
opened part by part, and whatever is no folder where one must be gives way to one.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

Kind = Literal["file", "link", "folder"]
_KINDS: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "folder"}
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a pipe would wait for its writer
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_THERE = (FileNotFoundError, NotADirectoryError)  # the latter also for a link where a folder must be


class Tree:
    """The files below a folder, by their names relative to it, with ``/`` between the parts."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def kind(self, name: str) -> Kind | None:
        """What stands there; None for nothing, for what lies behind a link, and for pipes, sockets and devices."""
        try:
            with self._parent(name) as parent:
                mode = os.stat(_leaf(name), dir_fd=parent, follow_symlinks=False).st_mode
        except _NOT_THERE:
            return None
        return _KINDS.get(stat.S_IFMT(mode))

    def put(self, name: str, source: Tree) -> bool:
        """Make a file or a link what it is in another tree, or remove it if there is none; whether that was needed."""
        with ExitStack() as opened:
            wanted = source.entry(name, opened)
            if wanted is None:
                return self.remove(name)
            if _alike(self.entry(name, opened), wanted):
                return False
            with self._parent(name, make=True) as parent:
                _clear(_leaf(name), parent)
                if isinstance(wanted, str):
                    os.symlink(wanted, _leaf(name), dir_fd=parent)
                else:
                    _copy(wanted, _leaf(name), parent)
        return True

    def write(self, name: str, text: str) -> None:
        """Write a new file. What stood there is removed first, since it may have another name elsewhere."""
        with self._parent(name, make=True) as parent:
            _clear(_leaf(name), parent)
            with os.fdopen(os.open(_leaf(name), _NEW, 0o644, dir_fd=parent), "w", encoding="utf-8") as file:
                file.write(text)

    def remove(self, name: str) -> bool:
        """Remove a file or a link, and the folders that are empty then, as git does; whether there was one."""
        try:
            with self._parent(name) as parent:
                if stat.S_ISDIR(os.stat(_leaf(name), dir_fd=parent, follow_symlinks=False).st_mode):
                    return False
                os.unlink(_leaf(name), dir_fd=parent)
        except _NOT_THERE:
            return False
        for folder in PurePosixPath(name).parents[:-1]:
            try:
                with self._parent(str(folder)) as parent:
                    os.rmdir(folder.name, dir_fd=parent)
            except OSError:  # it holds something else
                break
        return True

    def entry(self, name: str, opened: ExitStack) -> str | BinaryIO | None:
        """Where a link leads, or a file, open as long as `opened`; None for everything else."""
        try:
            with self._parent(name) as parent:
                mode = os.stat(_leaf(name), dir_fd=parent, follow_symlinks=False).st_mode
                if stat.S_ISLNK(mode):
                    return os.readlink(_leaf(name), dir_fd=parent)
                if stat.S_ISREG(mode):
                    return opened.enter_context(os.fdopen(os.open(_leaf(name), _READ, dir_fd=parent), "rb"))
        except _NOT_THERE:
            pass
        return None

    @contextmanager
    def _parent(self, name: str, *, make: bool = False) -> Generator[int]:
        """The folder that a name stands in. With `make`, what is no folder on the way there is replaced by one."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name!r} is no name inside a tree")
        with ExitStack() as closing:
            here = os.open(self.root, _PLACE)
            closing.callback(os.close, here)
            for part in path.parts[:-1]:
                if make:
                    _make_folder(part, here)
                here = os.open(part, _PLACE | os.O_NOFOLLOW, dir_fd=here)
                closing.callback(os.close, here)
            yield here


def _leaf(name: str) -> str:
    return PurePosixPath(name).name


def _make_folder(name: str, parent: int) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        is_folder = False
    if not is_folder:
        _clear(name, parent)
        os.mkdir(name, dir_fd=parent)


def _clear(name: str, parent: int) -> None:
    """Remove whatever stands there."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=parent)  # which does not follow links either


def _copy(source: BinaryIO, name: str, parent: int) -> None:
    status = os.fstat(source.fileno())
    source.seek(0)
    with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=parent), "wb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        os.fchmod(target.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(target.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _alike(a: str | BinaryIO | None, b: str | BinaryIO) -> bool:
    """The same link, or the same bytes that may be executed on both sides or on none."""
    if a is None or isinstance(a, str) or isinstance(b, str):
        return a == b
    one, other = os.fstat(a.fileno()), os.fstat(b.fileno())
    if one.st_size != other.st_size or (one.st_mode ^ other.st_mode) & stat.S_IXUSR:
        return False
    while chunk := a.read(1 << 16):
        if b.read(len(chunk)) != chunk:
            return False
    return True
