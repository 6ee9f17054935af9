"""From a workload and how it is to be served to a server that is ready to be asked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_gpuperf.errors import ServerError, UsageError
from pytest_gpuperf.models.workload import Workload
from pytest_gpuperf.serving import model_repository, triton
from pytest_gpuperf.serving.deployment import Deployment, served_name
from pytest_gpuperf.serving.exchange import fetched
from pytest_gpuperf.serving.server import Kind, Server
from pytest_gpuperf.serving.server_process import HOST, READY_WITHIN
from pytest_gpuperf.serving.torch_server import start_app

_ANSWERS_WITHIN = 10.0


def start_triton(
    workload: Workload,
    deployment: Deployment,
    *,
    folder: Path | None = None,
    timeout: float = READY_WITHIN,
    port: int | None = None,
) -> Server:
    """A Triton server for one workload. Its repository and its log are kept in the folder."""
    folder = _own(folder)
    found = triton.find()
    repository = Path(tempfile.mkdtemp(prefix="repository-", dir=folder))
    written = model_repository.write(workload, deployment, repository, found.backends)
    begun = triton.start_triton(found, repository, written.model, folder=folder, timeout=timeout, port=port)
    url = f"{HOST}:{begun.port}"
    own = {"found": found.how, "backend": written.backend, "cuda_graphs": written.cuda_graphs}
    return Server(
        name=f"triton-{deployment.runtime}",
        kind="triton",
        url=url,
        model=written.model,
        metrics_url=f"http://{HOST}:{begun.metrics_port}/metrics",
        started=begun.process.ready_in,
        configuration={**deployment.plain(), **own, "server": _version(url)},
        process=begun.process,
    )


def start_torch(
    workload: Workload,
    deployment: Deployment,
    *,
    folder: Path | None = None,
    timeout: float = READY_WITHIN,
    port: int | None = None,
) -> Server:
    """A torch server for one workload. Its log is kept in the folder."""
    folder, deployment = _own(folder), replace(deployment, runtime="torch")
    process, port = start_app(workload, deployment, folder=folder, timeout=timeout, port=port)
    url = f"{HOST}:{port}"
    return Server(
        name="torch",
        kind="torch",
        url=url,
        model=served_name(workload.name),
        metrics_url=f"http://{url}/metrics",
        started=process.ready_in,
        configuration={**deployment.plain(), "server": _version(url)},
        process=process,
    )


def remote(kind: Kind, url: str, workload: str) -> Server:
    """A server that runs already and serves the workload; it is asked whether that is so, and left running."""
    host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
    if not host or not port.isdecimal() or url.startswith("https:"):
        raise UsageError(f"{url!r} is no server's address. Write HOST:PORT, of its HTTP port, like 127.0.0.1:8000.")
    address, model = f"{host}:{port}", served_name(workload)
    try:
        version = _version(address)
    except OSError as error:
        raise ServerError(
            f"The server at {address} does not answer: {error}. See that it runs and that this is its HTTP port: "
            f"curl http://{address}/v2"
        ) from error
    try:
        fetched(f"http://{address}/v2/models/{model}/ready", _ANSWERS_WITHIN)
    except OSError as error:
        raise ServerError(
            f"The server at {address} ({version}) does not serve {model!r} ({error}). Write what it needs, and load it "
            f"there: gpuperf triton model-repo {workload} --into FOLDER"
        ) from error
    # Triton's metrics have a port of their own, the next but one after HTTP's where nobody chose another.
    metrics = f"http://{host}:{int(port) + 2}/metrics" if kind == "triton" else f"http://{address}/metrics"
    return Server(
        name=f"{kind}-remote" if kind != "remote" else kind,
        kind=kind,
        url=address,
        model=model,
        metrics_url=metrics if _answers(metrics) else None,
        configuration={"server": version, "remote": True, "config": _config(address, model)},
    )


def _own(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="gpuperf-server-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _version(url: str) -> str:
    """What a server calls itself."""
    try:
        metadata: Mapping[str, Any] = json.loads(fetched(f"http://{url}/v2", _ANSWERS_WITHIN))
        return f"{metadata['name']} {metadata['version']}"
    except (ValueError, KeyError, TypeError):
        return "unknown"


def _config(url: str, model: str) -> Mapping[str, Any] | None:
    """How it serves the model, where it says."""
    try:
        config: Mapping[str, Any] = json.loads(fetched(f"http://{url}/v2/models/{model}/config", _ANSWERS_WITHIN))
    except (OSError, ValueError):
        return None
    return config


def _answers(url: str) -> bool:
    try:
        fetched(url, _ANSWERS_WITHIN)
    except OSError:
        return False
    return True
