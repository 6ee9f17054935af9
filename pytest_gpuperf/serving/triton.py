"""A Triton server on this machine: found, and started on a model repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote
from typing import Literal, Protocol

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.serving import install
from pytest_gpuperf.serving.server_process import HOST, ServerCommand, ServerProcess, free_ports, start, started

_EXIT_AFTER = 10  # seconds Triton waits for its clients to leave
# Unloading takes it 2 to 6 seconds, in steps of one, and nobody waits for what it does then: a kill frees ports, GPU
# memory and stubs at once, and the guard removes the shared memory that it leaves.
_GRACE = 0.2
_ENGINE_ANSWERS_WITHIN = 20.0
_IMAGE = "GPUPERF_TRITON_IMAGE"


class Installation(Protocol):
    """A Triton server that can be started here."""

    @property
    def how(self) -> Literal["path", "wheel", "docker"]:
        """How it was found."""
        ...

    @property
    def backends(self) -> frozenset[str]:
        """The back ends it has."""
        ...

    def launch(self, repository: Path, model: str, ports: tuple[int, int], extra: Sequence[str]) -> ServerCommand:
        """How to start it, on these ports for requests and for metrics."""
        ...

    def by_hand(self, repository: Path) -> str:
        """What a user types to serve a repository with it."""
        ...


def find() -> Installation:
    """The server on PATH, else the wheel's, else a container's."""
    if on_path := shutil.which("tritonserver"):
        return OnPath(Path(on_path))
    where = install.folder()
    if install.installed(where):
        return FromWheel(where)
    if (image := _image()) is not None:
        return InDocker(image)
    raise MissingError(
        f"There is no Triton server here: no `tritonserver` on PATH, none in {where}, and no Docker engine that has an "
        f"image of it. Install one for this user, 55 MB, without touching this environment: {install.COMMAND}\n"
        f"Or give the URL of one that runs: --gpuperf-triton-url HOST:PORT"
    )


@dataclass(frozen=True)
class OnPath:
    """A server that somebody installed, with its back ends beside it."""

    binary: Path
    how: Literal["path"] = "path"

    def __str__(self) -> str:
        return str(self.binary)

    @property
    def backends(self) -> frozenset[str]:
        """The folders beside it."""
        return frozenset(p.name for p in self.binary.resolve().parents[1].glob("backends/*") if p.is_dir())

    def launch(self, repository: Path, model: str, ports: tuple[int, int], extra: Sequence[str]) -> ServerCommand:
        """As it is, in the environment it was found in."""
        regions = _regions(ports)
        return _launch([str(self.binary), *_flags(repository, ports, regions), *extra], model, ports, regions)

    def by_hand(self, repository: Path) -> str:
        """Its name alone, since it is on PATH."""
        return by_name(repository)


@dataclass(frozen=True)
class FromWheel:
    """The wheel's server, which has the Python back end alone and runs models with this very Python."""

    where: Path
    how: Literal["wheel"] = "wheel"
    backends: frozenset[str] = frozenset({"python"})

    def __str__(self) -> str:
        return f"Triton {install.SERVER_VERSION} in {self.where}"

    def launch(self, repository: Path, model: str, ports: tuple[int, int], extra: Sequence[str]) -> ServerCommand:
        """With its stub's Python found."""
        regions = _regions(ports)
        folder = f"--backend-directory={install.backends(self.where)}"
        command = [str(install.binary(self.where)), *_flags(repository, ports, regions), folder, *extra]
        return _launch(command, model, ports, regions, _environment())

    def by_hand(self, repository: Path) -> str:
        """With the paths that it needs, since nothing of it is on them."""
        python, library = quote(f"{sys.prefix}/bin"), quote(str(install.library_folder()))
        folder = f"--backend-directory={install.backends(self.where)}"
        binary = install.binary(self.where)
        paths = f"PATH={python}:$PATH LD_LIBRARY_PATH={library}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
        return f"{paths} {by_name(repository, quote(str(binary)))} {quote(folder)}"


def by_name(repository: Path, binary: str = "tritonserver") -> str:
    """What is typed where the server is on PATH; the repository says everything about its models."""
    return f"{binary} {quote(f'--model-repository={repository}')} --disable-auto-complete-config"


def _environment() -> Mapping[str, str]:
    """The stub's interpreter ignores PYTHONPATH: it finds this environment through the `python3` on PATH."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "__PYVENV_LAUNCHER__"}}
    path = [str(Path(sys.prefix) / "bin"), environment.get("PATH", "")]
    libraries = [str(install.library_folder()), environment.get("LD_LIBRARY_PATH", "")]
    return environment | {
        "PATH": ":".join(filter(None, path)),
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),  # this Python's library before the distribution's
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@dataclass(frozen=True)
class InDocker:
    """A server in a container that shares this machine's network. Nobody pulls an image of 15 GB unasked."""

    image: str
    gpus: bool = Path("/dev/nvidiactl").exists()
    how: Literal["docker"] = "docker"
    backends: frozenset[str] = frozenset({"onnxruntime", "python", "pytorch", "tensorrt"})  # of NVIDIA's full image

    def __str__(self) -> str:
        return f"the image {self.image}"

    def launch(self, repository: Path, model: str, ports: tuple[int, int], extra: Sequence[str]) -> ServerCommand:
        """By the `docker` command, which hands our signal on."""
        command = self._container(repository, "--pull=never", "--rm", "--init", f"--name=gpuperf-{ports[0]}")
        # Its shared memory is the container's, and goes with it.
        flags = _flags(repository, ports, _regions(ports))
        whole = [*command, "tritonserver", *flags, *extra]
        return _launch(whole, model, ports, "", grace=_EXIT_AFTER + 5)  # a killed `docker` would leave its container

    def by_hand(self, repository: Path) -> str:
        """In a container that sees the repository."""
        where = repository.absolute()
        return f"{join(self._container(where, '--rm', '--init'))} {by_name(where)}"

    def _container(self, repository: Path, *options: str) -> list[str]:
        """A container that shares this machine's network and cards, and may read the repository."""
        devices = ["--gpus=all"] if self.gpus else []
        shared = ["--network=host", "--shm-size=2g", f"--volume={repository}:{repository}:ro", *devices]
        return ["docker", "run", *options, *shared, self.image]


def _image() -> str | None:
    """The image named by GPUPERF_TRITON_IMAGE, else the first that the engine has already; None without an engine."""
    if shutil.which("docker") is None:
        return None
    wanted = os.environ.get(_IMAGE)
    command = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ENGINE_ANSWERS_WITHIN)  # noqa: S603
    except subprocess.TimeoutExpired:
        return None
    if listed.returncode:
        return None
    held = [line for line in listed.stdout.split() if line.rpartition(":")[0].endswith("tritonserver")]
    return wanted or next(iter(held), None)


def _regions(ports: tuple[int, int]) -> str:
    return f"gpuperf-{os.getpid()}-{ports[0]}-"


def _flags(repository: Path, ports: tuple[int, int], regions: str) -> list[str]:
    return [
        f"--model-repository={repository}",
        f"--http-address={HOST}",
        f"--http-port={ports[0]}",
        f"--metrics-address={HOST}",
        f"--metrics-port={ports[1]}",
        "--allow-grpc=false",
        "--disable-auto-complete-config",  # the repository says everything; a stub started to ask is time lost
        "--exit-on-error=true",
        f"--exit-timeout-secs={_EXIT_AFTER}",
        f"--backend-config=python,shm-region-prefix-name={regions}",
    ]


def _launch(
    command: Sequence[str],
    model: str,
    ports: tuple[int, int],
    regions: str,
    environment: Mapping[str, str] | None = None,
    grace: float = _GRACE,
) -> ServerCommand:
    return ServerCommand(
        name="triton",
        command=command,
        ready_url=f"http://{HOST}:{ports[0]}/v2/models/{model}/ready",
        environment=environment,
        ports=ports,
        regions=regions,
        grace=grace,
    )


@dataclass(frozen=True)
class Started:
    """A Triton process and where it listens."""

    process: ServerProcess
    port: int
    metrics_port: int


def start_triton(
    found: Installation,
    repository: Path,
    model: str,
    *,
    folder: Path,
    timeout: float,
    port: int | None = None,
    extra: Sequence[str] = (),
) -> Started:
    """Start a server on a repository and wait until the model is ready; on a free port, or on the one given."""
    taken: tuple[int, int] = (0, 0)

    def launch(free: list[int]) -> ServerCommand:
        nonlocal taken
        taken = (port or free[0], free[1])
        return found.launch(repository.resolve(), model, taken, extra)

    if port is not None:
        process = start(launch([port, *free_ports(1)]), timeout=timeout, folder=folder)
    else:
        process = started(launch, 2, timeout=timeout, folder=folder)
    return Started(process, *taken)
