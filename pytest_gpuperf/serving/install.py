"""A Triton server without a container: the one inside nvidia-pytriton's wheel, unpacked into a folder of its own.

The environment is not touched: the package's pin of an old numpy would not let it in, and only its files are wanted.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.records.folders import replaced_folder
from pytest_gpuperf.scratch import cache_folder

PACKAGE, VERSION, SERVER_VERSION = "nvidia-pytriton", "0.7.0", "2.51.0"
_CHECKSUMS = {
    "x86_64": "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
    "aarch64": "f99e07ee56fe065337453956afba17d2673e02ec6a632c3de26ce6e7b32a0898",
}
_GLIBC = (2, 35)  # what the wheel was built for
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_ROOT = "pytriton/tritonserver"
COMMAND = "gpuperf triton install"


def folder() -> Path:
    """Where the wheel's files are, or would be. GPUPERF_TRITON names another place."""
    if own := os.environ.get("GPUPERF_TRITON"):
        return Path(own)
    return cache_folder() / f"{PACKAGE}-{VERSION}"


def binary(where: Path) -> Path:
    """The server in such a folder."""
    return where / _ROOT / "bin" / "tritonserver"


def installed(where: Path) -> bool:
    """Whether the whole wheel is there: the folder gets its name last."""
    return binary(where).is_file()


def install(where: Path) -> bool:
    """Unpack the wheel with pip, which checks what it got; False where it was there already."""
    _refuse_unable()
    library_folder()
    if installed(where):
        backends(where)
        return False
    with replaced_folder(where) as unpacked, tempfile.TemporaryDirectory(prefix="gpuperf-triton-") as scratch:
        wanted = Path(scratch, "wanted.txt")
        wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{_CHECKSUMS[platform.machine()]}\n", encoding="utf-8")
        _pip("--target", str(unpacked), "--require-hashes", "--requirement", str(wanted))
        binary(unpacked).chmod(0o755)  # pip takes the permission away
    backends(where)
    return True


def _refuse_unable() -> None:
    machine, (libc, version) = platform.machine(), platform.libc_ver()
    new_enough = libc == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= _GLIBC
    if machine not in _CHECKSUMS or not new_enough:
        raise MissingError(
            f"{PACKAGE} {VERSION} has no server for this machine ({machine}, {libc or 'no glibc'} {version}): it was "
            f"built for {' and '.join(_CHECKSUMS)} with glibc {_GLIBC[0]}.{_GLIBC[1]} or newer. Put a tritonserver on "
            f"PATH, or give the URL of one that runs: --gpuperf-triton-url HOST:PORT"
        )


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(  # noqa: S603 - pip itself
        [*command, "--only-binary=:all:", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MissingError(
            f"pip could not fetch {PACKAGE} {VERSION}: {done.stderr.strip() or done.stdout.strip()}\n"
            f"See that the package index can be reached, and try again: {COMMAND}"
        )


def backends(where: Path) -> Path:
    """The folder of back ends for this Python: its stub stands beside the library that starts it.

    At the same depth as the wheel's own, so that the libraries find what they are linked with.
    """
    root = where / _ROOT
    ready = root / f"backends-{_PYTHON}"
    if not ready.exists():
        stub = root / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub"
        if not stub.exists():
            raise MissingError(
                f"{PACKAGE} {VERSION} has no Python back end for Python {_PYTHON}; it has one for "
                f"{', '.join(sorted(p.name for p in stub.parents[1].iterdir()))}. Use one of these."
            )
        scratch = Path(tempfile.mkdtemp(dir=root))
        shutil.copytree(root / "backends" / "python", scratch / "python")
        shutil.copy(stub, scratch / "python")
        (scratch / "python" / stub.name).chmod(0o755)
        try:
            scratch.rename(ready)
        except OSError:  # another process was faster
            shutil.rmtree(scratch)
    return ready


def library_folder() -> Path:
    """Where the stub finds the library of *this* Python."""
    name = f"libpython{_PYTHON}.so.1.0"
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    libdir = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    places = [libdir, libdir / multiarch, Path(sys.base_prefix) / "lib"]
    found = [place for place in places if (place / name).exists()]
    if not found:
        raise MissingError(
            f"Triton's Python back end needs {name}, and this Python ({sys.base_prefix}) came without it. On Debian "
            f"and Ubuntu install it with: apt-get install libpython{_PYTHON}"
        )
    return found[0]
