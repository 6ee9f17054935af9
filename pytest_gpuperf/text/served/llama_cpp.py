"""llama.cpp's server, as the package xllamacpp brings it: one GGUF file, several sequences at once."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata, util
from pathlib import Path

from pytest_gpuperf.device.cuda import ON_PROCESSOR
from pytest_gpuperf.errors import MissingError, ServerError, UsageError
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.server_process import READY_WITHIN
from pytest_gpuperf.text.served.local import LocalServer, start_local

_APP = "pytest_gpuperf.text.served.llama_cpp_app"
_MAGIC = b"GGUF"
_SMALL = 32 * 2**20  # bytes


def start_llama_cpp(
    gguf: Path,
    *,
    folder: Path,
    parallel: int = 4,
    context: int = 2048,
    device: str = "auto",
    timeout: float = READY_WITHIN,
    port: int | None = None,
) -> Server:
    """A server that answers `parallel` requests at once, each of up to `context` tokens with its answer.

    The device: cpu, cuda, cuda:N; auto is a GPU where the installed build of llama.cpp can compute on one.
    """
    refuse_no_model(gguf)
    for name, value in (("parallel", parallel), ("context", context)):
        if value < 1:
            raise UsageError(f"{name}={value}: it must be at least 1.")
    folder.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix="llama.cpp-", dir=folder))
    chosen = own / "devices.json"
    # Threads that wait for one another spin. Beside busy neighbours that costs a small model more than they bring.
    threads = 1 if gguf.stat().st_size < _SMALL else None

    def command(port: int) -> Sequence[str]:
        order = own / f"order-{port}.json"
        order.write_text(
            json.dumps(
                {
                    "file": str(gguf.resolve()),
                    "model": gguf.stem,
                    "port": port,
                    "parallel": parallel,
                    "context": parallel * context,
                    "threads": threads,
                    "device": device,
                    "devices": str(chosen),
                }
            ),
            encoding="utf-8",
        )
        return [sys.executable, "-P", "-u", "-m", _APP, str(order)]

    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    what = LocalServer(name="llama.cpp", command=command, environment=os.environ | hidden, has_metrics=True)
    try:
        server = start_local(what, folder=own, timeout=timeout, port=port)
    except ServerError:
        if chosen.exists() and not json.loads(chosen.read_text(encoding="utf-8")):
            raise MissingError(
                f"llama.cpp's server cannot compute on {device}: the build of xllamacpp that is installed here finds "
                f"no such GPU. The one on PyPI is for the processor; its page names those for CUDA. Install one. "
                f"{ON_PROCESSOR}"
            ) from None
        raise
    return replace(
        server,
        configuration={
            "server": f"llama.cpp (xllamacpp {metadata.version('xllamacpp')})",
            "file": gguf.name,
            "parallel": parallel,
            "context": context,
            "threads": threads,
            "devices": json.loads(chosen.read_text(encoding="utf-8")),
        },
    )


def devices_for(device: str, gpus: Sequence[str]) -> list[str]:
    """Where llama.cpp will compute, of the GPUs that it finds and as it names them ("CUDA0"); none: it cannot there."""
    known = [re.sub(r"^CUDA(\d+)$", r"cuda:\1", gpu) for gpu in gpus]
    if device == "cpu":
        return ["cpu"]
    if device == "auto":
        return known or ["cpu"]
    wanted = "cuda:0" if device == "cuda" else device
    return [wanted] if wanted in known else []


def refuse_no_model(gguf: Path) -> None:
    """Refuse a file that is none of llama.cpp's, and a machine without its server."""
    if util.find_spec("xllamacpp") is None:
        raise MissingError(
            "llama.cpp's server needs xllamacpp, not installed here. Install what it needs: "
            "pip install 'pytest-gpuperf[text]'"
        )
    try:
        with gguf.open("rb") as file:
            beginning = file.read(len(_MAGIC))
    except OSError as error:
        raise UsageError(
            f"The model {gguf} cannot be read: {error.strerror}. Give a GGUF file that is there, or a model of "
            f"transformers: text:NAME."
        ) from None
    if beginning != _MAGIC:
        raise UsageError(
            f"{gguf} is no GGUF file: it begins with {beginning!r}, and not with {_MAGIC!r}. llama.cpp reads no other; "
            f"its convert_hf_to_gguf.py makes one of a model's folder."
        )
