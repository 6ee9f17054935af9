"""The fixtures `triton_server` and `torch_server`: started for the tests of a module that ask, and always stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar

import pytest

from pytest_gpuperf.errors import MissingError, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Unpack

    from pytest_gpuperf.models.workload import Scale, Workload
    from pytest_gpuperf.plugin.settings import Settings
    from pytest_gpuperf.serving.server import Server

Kind = Literal["triton", "torch"]
OPEN = pytest.StashKey["dict[Servers, str]"]()  # and the fixture that gives each


class Deployed(TypedDict, total=False):
    """How a workload is to be served; what is left out is as `Deployment` says."""

    runtime: Literal["onnx", "torch"]
    precision: str
    devices: tuple[str, ...]
    instances: int
    max_batch: int
    batching: bool
    preferred_batches: tuple[int, ...]
    queue_delay: float
    threads: int
    cuda_graphs: bool


class Servers:
    """The servers that a module's tests asked one fixture for."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self.servers: dict[Hashable, Server] = {}

    def running(self, key: Hashable) -> Server | None:
        """One that was started for the same, and is alive."""
        server = self.servers.get(key)
        return server if server is not None and server.alive() else None

    def stop(self) -> None:
        """Stop all that were started here."""
        for server in self.servers.values():
            server.stop()


class ServerFactory(Servers):
    """Starts servers of one kind: ``triton_server("resnet50", instances=2) -> Server``."""

    def __init__(self, kind: Kind, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        self._kind: Kind = kind

    def __call__(
        self,
        workload: str | Workload,
        *,
        scale: Scale | None = None,
        pretrained: bool = False,
        port: int | None = None,
        timeout: float = 300.0,
        **how: Unpack[Deployed],
    ) -> Server:
        """A server that is ready. One that serves the same in the same way already, and is alive, is given again.

        With --gpuperf-triton-url or --gpuperf-torch-url it is the server there, served as its owner chose.
        """
        __tracebackhide__ = True
        scale = scale or self._settings.scale
        return plainly(self._settings, lambda: self._server(workload, scale, pretrained, port, timeout, how))

    def _server(
        self,
        workload: str | Workload,
        scale: Scale,
        pretrained: bool,
        port: int | None,
        timeout: float,
        how: Deployed,
    ) -> Server:
        url = self._settings.triton_url if self._kind == "triton" else self._settings.torch_url
        if url is not None:
            from pytest_gpuperf.serving.starting import remote

            return remote(self._kind, url, workload if isinstance(workload, str) else workload.name)
        from pytest_gpuperf.models import load
        from pytest_gpuperf.serving import starting
        from pytest_gpuperf.serving.deployment import Deployment

        here: Deployed = {"devices": how["devices"] if "devices" in how else (self._device(),)}
        deployment = Deployment(**(how | here))
        key = ((workload, scale, pretrained) if isinstance(workload, str) else id(workload), deployment, port)
        if (running := self.running(key)) is not None:
            return running
        loaded = load(workload, scale, pretrained=pretrained) if isinstance(workload, str) else workload
        start = starting.start_triton if self._kind == "triton" else starting.start_torch
        server = start(loaded, deployment, folder=self._folder, timeout=timeout, port=port)
        self.servers[key] = server
        return server

    def _device(self) -> str:
        from pytest_gpuperf.device.choice import choose_device

        return choose_device(self._settings.device).torch_name


Made = TypeVar("Made", bound=Servers)
T = TypeVar("T")


def plainly(settings: Settings, give: Callable[[], T]) -> T:
    """What is missing skips the test, or fails it where that was asked for; what makes no sense is one message."""
    __tracebackhide__ = True
    try:
        return give()
    except MissingError as error:
        if settings.require_backend:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        pytest.skip(str(error))
    except UsageError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def factory(make: Callable[[Settings, Path], Made], request: pytest.FixtureRequest) -> Generator[Made]:
    """What the fixtures give; when the module's tests have run nothing of it is left."""
    from pytest_gpuperf.plugin.settings import SETTINGS

    config = request.config
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp(f"{request.fixturename}s")
    made = make(config.stash[SETTINGS], folder)
    opened = config.stash.setdefault(OPEN, {})
    opened[made] = request.fixturename or ""
    try:
        yield made
    finally:
        del opened[made]
        made.stop()


def with_logs(item: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """Show what the servers wrote below a failure of a test that asked for them."""
    asked = getattr(item, "fixturenames", ())
    if report.failed:
        opened = item.config.stash.setdefault(OPEN, {})
        mine = [made for made, fixture in opened.items() if fixture in asked]
        for server in [server for made in mine for server in made.servers.values()]:
            state = "running" if server.alive() else "ended"
            report.sections.append((f"log of {server.name} at {server.url} ({state})", server.log_tail()))
    return report
