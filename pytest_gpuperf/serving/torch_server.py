"""Starting the torch server in a process of its own."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from importlib import util
from pathlib import Path

from pytest_gpuperf.backends import why_not
from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.models.workload import Workload
from pytest_gpuperf.serving.deployment import Deployment, served_name, signature_of
from pytest_gpuperf.serving.model_repository import export_program
from pytest_gpuperf.serving.server_process import HOST, ServerCommand, ServerProcess, start, started

_NEEDS = ("starlette", "uvicorn")


def start_app(
    workload: Workload, deployment: Deployment, *, folder: Path, timeout: float, port: int | None = None
) -> tuple[ServerProcess, int]:
    """Start it and wait until the model is ready; on a free port, or on the one given."""
    lacking = [module for module in _NEEDS if util.find_spec(module) is None]
    if lacking:
        raise MissingError(
            f"The torch server needs {', '.join(lacking)}. Install it with: pip install 'pytest-gpuperf[serving]'"
        )
    reason = why_not("eager", deployment.precision, deployment.devices[0])
    if reason is not None:
        raise MissingError(f"{workload.name} cannot be served: {reason}")
    folder.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix="torch-", dir=folder))
    exported = None
    if workload.seed is None:  # no other process can make it by its name
        exported = own / "model.pt2"
        export_program(workload, Deployment(runtime="torch"), exported)
    model = served_name(workload.name)
    signature = signature_of(workload, deployment.wire)
    taken = port or 0

    def launch(free: list[int]) -> ServerCommand:
        nonlocal taken
        taken = free[0]
        order = own / f"order-{taken}.json"
        order.write_text(
            json.dumps(
                {
                    "model": model,
                    "workload": workload.name,
                    "scale": workload.scale,
                    "pretrained": workload.pretrained,
                    "seed": workload.seed,
                    "exported": None if exported is None else str(exported),
                    "deployment": asdict(deployment),
                    "inputs": [asdict(t) for t in signature.inputs],
                    "outputs": [asdict(t) for t in signature.outputs],
                    "port": taken,
                }
            ),
            encoding="utf-8",
        )
        return ServerCommand(
            name="torch",
            command=[sys.executable, "-u", "-m", "pytest_gpuperf.serving.torch_app", str(order)],
            ready_url=f"http://{HOST}:{taken}/v2/models/{model}/ready",
            ports=[taken],
            grace=10.0,  # it needs a fraction of a second where the machine lets it run
        )

    if port is not None:
        return start(launch([port]), timeout=timeout, folder=folder), port
    return started(launch, 1, timeout=timeout, folder=folder), taken
