"""A model server, as those who load it see it: where it answers, how it was configured, and how to stop it.

The load generator's processes import this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

LAST_LINES = 25

# remote: some KServe v2 server of which nothing else is known; openai: a language model behind OpenAI's API
Kind = Literal["triton", "torch", "remote", "openai"]
Plain = str | int | float | bool | None | Sequence["Plain"] | Mapping[str, "Plain"]  # what a result file can hold


class Running(Protocol):
    """The process behind a local server."""

    @property
    def pid(self) -> int:
        """Of the process that leads its group."""
        ...

    def alive(self) -> bool:
        """Whether it still runs."""
        ...

    def log_tail(self, lines: int = LAST_LINES) -> str:
        """The last lines it wrote."""
        ...

    def stop(self) -> None:
        """End it and everything it started; a second call does nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that was ready to answer for one model when it was handed out."""

    name: str  # for reports: "triton-onnx", "torch"
    kind: Kind
    url: str  # host:port, as tritonclient.http takes it
    model: str
    path: str = ""  # that its API's own paths begin with: "/v1"
    secure: bool = False  # https
    metrics_url: str | None = None  # the whole URL of the Prometheus text; None: not known to have any
    started: float | None = None  # seconds from the start of its process until it was ready; None: it was running
    configuration: Mapping[str, Plain] = field(default_factory=dict[str, Plain])  # how it serves, as far as is known
    process: Running | None = field(default=None, repr=False)  # None: it was not started here

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where to connect."""
        host, _, port = self.url.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def local(self) -> bool:
        """Whether it was started here, and so is stopped here."""
        return self.process is not None

    def alive(self) -> bool:
        """Whether its process runs; a server that was not started here counts as alive."""
        return self.process is None or self.process.alive()

    def log_tail(self, lines: int = LAST_LINES) -> str:
        """The last lines of its log; empty where it was not started here."""
        return "" if self.process is None else self.process.log_tail(lines)

    def stop(self) -> None:
        """End a server that was started here; one that was given by its URL is left alone."""
        if self.process is not None:
            self.process.stop()
