"""A server with OpenAI's API that runs already: vLLM, SGLang, TGI, anybody's. It is asked, and left running."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from pytest_gpuperf.errors import ServerError, UsageError
from pytest_gpuperf.serving.exchange import SHOWN, Reply, exchange
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.text.served.key import KEY, authorization, hidden
from pytest_gpuperf.text.served.local import PATH
from pytest_gpuperf.text.served.model_list import ListedModel, read_models

_ANSWERS_WITHIN = 10.0
_PORTS = {"http": 80, "https": 443}
_LISTED = 20  # names of models in a message


@dataclass(frozen=True)
class Typed:
    """How a user names a server and its model: what a message tells them to type."""

    url: str  # stands before an address
    model: str


OPTIONS = Typed("--gpuperf-openai-url ", "--gpuperf-openai-model NAME")


def remote_openai(url: str, model: str | None = None, typed: Typed = OPTIONS) -> Server:
    """The server at a base URL, ``http://HOST:8000`` or ``https://HOST/v1``. Where it has one model, that is meant."""
    address = _address(url, typed)
    only = _chosen(address, _models(address), model)
    metrics = f"{address.scheme}://{address.host}/metrics"
    return Server(
        name="openai-remote",
        kind="openai",
        url=address.host,
        model=only.id,
        path=address.path,
        secure=address.secure,
        metrics_url=metrics if b"# TYPE" in _content(address, "/metrics") else None,
        configuration={"server": _server(address, only), "remote": True},
    )


@dataclass(frozen=True)
class _Address:
    scheme: str
    host: str  # with its port
    path: str
    headers: Mapping[str, str] = field(repr=False)
    typed: Typed

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def models(self) -> str:
        """Where the models are listed."""
        return f"{self.scheme}://{self.host}{self.path}/models"

    def get(self, path: str) -> Reply:
        return exchange(self.host, path, headers=self.headers, timeout=_ANSWERS_WITHIN, secure=self.secure)


def _address(url: str, typed: Typed) -> _Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _no_address(f"{url!r} is no address", typed) from None
    if parts.username is not None or parts.query or parts.fragment:  # not repeated: there may be a secret in it
        raise _no_address(f"The address has more than a host and a path. It is recorded; a key belongs in {KEY}", typed)
    if parts.scheme not in _PORTS or not parts.hostname or not url.isprintable() or " " in url:
        raise _no_address(f"{url!r} is no address of an API", typed)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = f"{name}:{port or _PORTS[parts.scheme]}"
    return _Address(parts.scheme, host, parts.path.rstrip("/") or PATH, authorization(), typed)


def _no_address(what: str, typed: Typed) -> UsageError:
    return UsageError(f"{what}. Write the base URL of OpenAI's API: {typed.url}http://HOST:8000 or https://HOST/v1")


def _models(address: _Address) -> Sequence[ListedModel]:
    try:
        reply = address.get(f"{address.path}/models")
    except (OSError, UnicodeError) as error:  # the latter: a host that cannot be looked up
        raise ServerError(
            f"The server at {address.host} could not be asked: {error}. See that it runs, and that this is its "
            f"address: curl {address.models}"
        ) from error
    shown = hidden(reply.content.decode(errors="replace"))[:SHOWN].strip()
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        what = f"refuses the key in {KEY}" if address.headers else "wants an API key"
        raise ServerError(
            f"The server at {address.host} {what} ({reply.status}: {shown}). Set one that it takes: export {KEY}=..."
        )
    if reply.status == HTTPStatus.NOT_FOUND:
        raise ServerError(
            f"The server at {address.host} has no {address.path}/models (404), so it speaks no OpenAI API there. Give "
            f"the base URL of its API, without /chat/completions: "
            f"{address.typed.url}{address.scheme}://{address.host}{PATH}"
        )
    if reply.status != HTTPStatus.OK:
        where = reply.headers.get("location")
        went = f" It names another address: {hidden(where)}" if where else ""
        raise ServerError(
            f"The server at {address.host} did not list its models ({reply.status}: {shown}).{went} See what it says: "
            f"curl {address.models}"
        )
    try:
        return read_models(reply.content)
    except ValueError as error:
        raise ServerError(
            f"The server at {address.host} answers {address.path}/models with no list of models ({error}): {shown!r}. "
            f"Give the base URL of OpenAI's API: {address.typed.url}{address.scheme}://{address.host}{PATH}"
        ) from None


def _chosen(address: _Address, models: Sequence[ListedModel], model: str | None) -> ListedModel:
    names = [each.id for each in models]
    if model is None and len(models) == 1:
        return models[0]
    if model in names:
        return models[names.index(model)]
    if not names:
        raise ServerError(f"The server at {address.host} serves no model ({address.models}). Load one there.")
    shown = ", ".join(names[:_LISTED]) + (f", ... ({len(names)} in all)" if len(names) > _LISTED else "")
    if model is None:
        raise UsageError(
            f"The server at {address.host} serves several models. Say which, {address.typed.model}: {shown}"
        )
    near = get_close_matches(model, names, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"The server at {address.host} does not serve {model!r}.{meant} It serves: {shown}")


def _server(address: _Address, model: ListedModel) -> str:
    """What it is, as far as it says: vLLM tells its version, and most tell at a model who they are."""
    try:
        answer: Any = json.loads(_content(address, "/version"))
        version = str(answer["version"])
    except (ValueError, LookupError, TypeError):
        version = ""
    return f"{model.owned_by or ''} {version}".strip() or "unknown"


def _content(address: _Address, path: str) -> bytes:
    """What stands at a path that not every server has; nothing where it is missing."""
    try:
        reply = address.get(path)
    except OSError:
        return b""
    return reply.content if reply.status == HTTPStatus.OK else b""
