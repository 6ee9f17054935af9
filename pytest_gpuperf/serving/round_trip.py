"""What reaching a server takes, apart from its model: a figure of the network must never be called a model's."""

from __future__ import annotations

import http.client
from statistics import median
from time import perf_counter

from pytest_gpuperf.results.load import RoundTrip
from pytest_gpuperf.serving.server import Server

NULL_MODEL = "gpuperf_null"  # gives nothing back for next to nothing
HEALTH = "/v2/health/live"
_NULL = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[0.0]}]}'
_COUNT = 31
_WARM = 3
_ENOUGH = 5.0  # seconds: a far server is known by fewer


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
