"""A server of one language model in a process of its own, from its command to the name that it gives its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.serving.exchange import fetched
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.server_process import HOST, ServerCommand, start, started
from pytest_gpuperf.text.served.model_list import read_models

PATH = "/v1"
_ANSWERS_WITHIN = 10.0


@dataclass(frozen=True, kw_only=True)
class LocalServer:
    """What is needed to start one."""

    name: str
    command: Callable[[int], Sequence[str]]  # for a port
    environment: Mapping[str, str]
    has_metrics: bool = False


def start_local(what: LocalServer, *, folder: Path, timeout: float, port: int | None = None) -> Server:
    """Start it on a free port, or on the one given, and wait until its model can be asked. Its log is in the folder."""
    taken = 0

    def launch(ports: Sequence[int]) -> ServerCommand:
        nonlocal taken
        (taken,) = ports
        return ServerCommand(
            name=what.name,
            command=what.command(taken),
            ready_url=f"http://{HOST}:{taken}/health",
            ports=ports,
            environment=what.environment,
        )

    if port is None:
        process = started(launch, 1, timeout=timeout, folder=folder)
    else:
        process = start(launch([port]), timeout=timeout, folder=folder)
    url = f"{HOST}:{taken}"
    try:
        model = _model(what.name, f"http://{url}{PATH}/models")
    except BaseException:
        process.stop()
        raise
    return Server(
        name=what.name,
        kind="openai",
        url=url,
        model=model,
        path=PATH,
        metrics_url=f"http://{url}/metrics" if what.has_metrics else None,
        started=process.ready_in,
        process=process,
    )


def _model(name: str, url: str) -> str:
    """What it calls its model: requests have to name it so."""
    try:
        models = read_models(fetched(url, _ANSWERS_WITHIN))
    except (OSError, ValueError) as error:
        raise ServerError(
            f"The server {name!r} runs, and does not list its model at {url}: {error}. It was stopped."
        ) from None
    if not models:
        raise ServerError(f"The server {name!r} runs, and has no model ({url} lists none). It was stopped.")
    return models[0].id
