"""The faults between a client and a server, as the client can distinguish them; and the time of a round trip."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Literal

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.records.served_load import RoundTrip
from pytest_gpuperf.serving.server import LAST_LINES, Server

Fault = Literal[
    "refused",
    "disconnected",
    "timeout",
    "status",
    "wrong shape",
    "wrong dtype",
    "unreadable",
    "error event",
    "no text",
    "cut short",
    "other",
]

_WHY: dict[Fault, str] = {
    "refused": "nothing listens there",
    "disconnected": "the connection broke before the answer was whole",
    "timeout": "no answer came in time: it hangs, or it is slower than the time-out",
    "status": "the server answered with an error",
    "wrong shape": "the answer has another shape than the model's",
    "wrong dtype": "the answer has another type of number than the model's",
    "unreadable": "the answer is not what the protocol allows",
    "error event": "an error came in the middle of the stream",
    "no text": "the stream ended before any text came",
    "cut short": "the stream ended before the answer did",
    "other": "the client failed",
}
_NEXT: dict[Fault, str] = {
    "refused": "Start the server, or give the URL of one that runs as HOST:PORT.",
    "disconnected": "Look for a crash in the server's log; too little memory is the usual cause.",
    "timeout": "Lower the load or raise the time-out; if one request alone hangs, the model does.",
    "status": "Read the server's message; send one request by hand to see it again.",
    "wrong shape": "Compare the served model with the workload: write its model repository anew.",
    "wrong dtype": "Compare the served model with the workload: write its model repository anew.",
    "unreadable": "See that the URL is a KServe v2 server's HTTP port, and not its gRPC or metrics port.",
    "error event": "Read the server's message and its log; too little memory is the usual cause.",
    "no text": "Send one request by hand: a model that ends its answer at once has no tokens to time.",
    "cut short": "Look for a crash or a limit of time in the server's log, and in that of a proxy before it.",
    "other": "Send one request by hand with curl, and report this if it is answered.",
}
_NEXT_OF_TEXT: dict[Fault, str] = {
    "refused": "Start the server, or give the base URL of one that runs: http://HOST:PORT/v1.",
    "unreadable": "See that the URL is that of an OpenAI-compatible API: curl http://HOST:PORT/v1/models",
}
_NEXT_OF_STATUS = {  # of language models: by what the status says
    "401": "Give the key that the server wants: export OPENAI_API_KEY=...",
    "403": "Give a key that may use this model: export OPENAI_API_KEY=...",
    "404": "See which models it serves: curl http://HOST:PORT/v1/models",
    "422": "The server does not know a field that was asked for; the message names it.",
    "429": "The server limits how much it is asked: lower the concurrency or the rate, or lift its limit.",
}


# By name, the closest class first: a client's package need not be loaded to tell what its exception means.
_BY_CLASS: dict[str, Fault] = {
    "ConnectionRefusedError": "refused",
    "TimeoutError": "timeout",
    "ConnectionError": "disconnected",
    "EOFError": "disconnected",
    "HTTPConnectionClosed": "disconnected",
    "NotHttpError": "unreadable",
    "HTTPParseError": "unreadable",
    "JSONDecodeError": "unreadable",
    "UnicodeDecodeError": "unreadable",
}
NULL_MODEL = "gpuperf_null"  # gives nothing back for next to nothing
HEALTH = "/v2/health/live"
_NULL = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[0.0]}]}'
_COUNT = 31
_WARM = 3
_ENOUGH = 5.0  # seconds: of a far server fewer round trips are enough


class WrongAnswerError(Exception):
    """An answer that arrived whole and is not what the model gives."""

    def __init__(self, fault: Literal["wrong shape", "wrong dtype"], message: str) -> None:
        super().__init__(message)
        self.fault: Fault = fault


def check_answer(name: str, shape: Sequence[int], datatype: str, expected: tuple[Sequence[int], str]) -> None:
    """Refuse an output whose shape or KServe datatype (``FP32``) is not the expected one."""
    wanted, wanted_type = expected
    if datatype != wanted_type:
        raise WrongAnswerError("wrong dtype", f"output {name!r} is {datatype}; the model gives {wanted_type}")
    if list(shape) != list(wanted):
        raise WrongAnswerError("wrong shape", f"output {name!r} is {list(shape)}; the model gives {list(wanted)}")


def fault_of(error: BaseException) -> Fault:
    """Which fault an exception of tritonclient, of a socket or of `check_answer` stands for."""
    if isinstance(error, WrongAnswerError):
        return error.fault
    classes = [c.__name__ for c in type(error).__mro__]
    if "InferenceServerException" in classes:
        status = getattr(error, "status", lambda: None)()
        return "unreadable" if status is None else "timeout" if status == "499" else "status"
    if "HTTPParseError" in classes and any(word in str(error) for word in ("closed", "Incomplete")):
        return "disconnected"  # in the middle of an answer
    known: list[Fault] = [_BY_CLASS[name] for name in classes if name in _BY_CLASS]
    return known[0] if known else "other"


def failure(server: Server, doing: str, error: BaseException) -> ServerError:
    """The error to raise: what happened while doing what, why, what to type next, and the server's last lines."""
    fault = fault_of(error)
    dead = not server.alive()
    why = "its process has ended" if dead else _WHY[fault]
    detail = str(error).strip() or type(error).__name__
    remedy = "Read its last lines." if dead else _next(server, fault, detail)
    return ServerError(
        f"The server {server.name!r} at {server.url} failed {doing}: {fault}; {why} ({detail}). {remedy}"
        f"{last_lines(server.log_tail(LAST_LINES))}"
    )


def _next(server: Server, fault: Fault, detail: str) -> str:
    if server.kind != "openai":
        return _NEXT[fault]
    by_status = _NEXT_OF_STATUS.get(detail[:3]) if fault == "status" else None
    return by_status or _NEXT_OF_TEXT.get(fault) or _NEXT[fault]


def last_lines(log: str) -> str:
    """A log's end, as it stands below an error."""
    if not log.strip():
        return ""
    return "\n  The server's last lines:\n" + "\n".join(f"    {line}" for line in log.rstrip().splitlines())


def round_trip(server: Server, timeout: float = 10.0) -> RoundTrip | None:
    """Ask the null model where the server has one, else the server's health; None where neither answers."""
    connection = http.client.HTTPConnection(server.url, timeout=timeout)
    try:
        for asked, method, path, body in (
            (NULL_MODEL, "POST", f"/v2/models/{NULL_MODEL}/infer", _NULL),
            (HEALTH, "GET", HEALTH, None),
        ):
            seconds = _timed(connection, method, path, body)
            if seconds:
                return RoundTrip(median=median(seconds), low=min(seconds), count=len(seconds), asked=asked)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return None


def _timed(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None) -> list[float]:
    """Seconds of single exchanges on one connection; none where it is refused."""
    seconds: list[float] = []
    headers = {} if body is None else {"Content-Type": "application/json"}
    while len(seconds) < _WARM + _COUNT and (len(seconds) <= _WARM or sum(seconds) < _ENOUGH):
        begun = perf_counter()
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            return []
        seconds.append(perf_counter() - begun)
    return seconds[_WARM:]
