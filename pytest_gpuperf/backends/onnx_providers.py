"""ONNX Runtime's providers: their libraries, their options, and the proof that none was replaced by the CPU's.

ONNX Runtime that cannot load a provider says so in a log line and continues on the CPU.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import ctypes
import re
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_gpuperf.backends.placement import Placement
from pytest_gpuperf.errors import ContradictedError

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_LIBRARIES = {CUDA: "libonnxruntime_providers_cuda.so", TENSORRT: "libonnxruntime_providers_tensorrt.so"}
_INSTALL = {CUDA: "pip install 'onnxruntime-gpu[cuda,cudnn]'", TENSORRT: "pip install tensorrt"}
_DRIVER = "libcuda.so.1"
_FATAL = 4  # the log level at which its line about falling back is left to our error


def session(path: Path, providers: Sequence[tuple[str, dict[str, str]]], threads: int) -> Any:
    """Open a file with the first of these providers; the others take what it cannot. Refuses a silent fallback."""
    import onnxruntime  # noqa: PLC0415 - an extra

    wanted = providers[0][0]
    if wanted != CPU:
        load_libraries(wanted)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    opened: Any = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    opened.disable_fallback()  # a provider that fails in the middle of a run must not be replaced either
    took = opened.get_providers()[0]
    if took != wanted:
        raise ContradictedError(
            f"ONNX Runtime was asked for {wanted} and fell back to {took}: its figures would be another device's. "
            f"{_what_is_missing(wanted)}"
        )
    return opened


def _what_is_missing(provider: str) -> str:
    missing = missing_libraries(provider)
    if not missing:
        return "None of its libraries is missing; its log says more: onnxruntime.set_default_logger_severity(0)"
    if missing == [_DRIVER]:
        return f"Missing: {_DRIVER}, a part of the NVIDIA driver. See what is wrong: nvidia-smi"
    return f"Missing: {', '.join(missing)}. Install what it needs: {_INSTALL[provider]}"


def placement(opened: Any, wanted: str) -> Placement | None:
    """Which provider was given which operators; None where ONNX Runtime is too old to report it."""
    if not hasattr(opened, "get_provider_graph_assignment_info"):
        return None
    operators: dict[str, Counter[str]] = {}
    for part in opened.get_provider_graph_assignment_info():
        operators.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    return Placement(wanted, operators)


def load_libraries(provider: str) -> None:
    """Load what a provider is linked with from where pip put it: the loader does not look there by itself."""
    import onnxruntime  # noqa: PLC0415

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls(msvc=False)
    for name in missing_libraries(provider):
        for found in _installed(name):
            _loads(str(found))


def missing_libraries(provider: str) -> list[str]:
    """Libraries a provider is linked with that neither the loader finds nor this process has loaded."""
    import onnxruntime  # noqa: PLC0415

    library = Path(onnxruntime.__file__).parent / "capi" / _LIBRARIES[provider]
    if not library.exists():
        return [library.name]
    # Loading the library itself to see would run its initialisers without their host.
    listed = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607
    return [name for name in re.findall(r"(\S+) => not found", listed) if not _loads(name)]


def _installed(name: str) -> list[Path]:
    packages = Path(sysconfig.get_path("purelib"))
    return [*packages.glob(f"nvidia/*/lib/{name}"), *packages.glob(f"tensorrt_libs/{name}")]


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
