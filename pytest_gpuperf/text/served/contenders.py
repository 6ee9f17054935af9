"""The servers of a study, as they are named on a command line: ``vllm=http://HOST:8000``, FILE.gguf, text:NAME."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.serving.contender import Contender
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.text.served.llama_cpp import refuse_no_model, start_llama_cpp
from pytest_gpuperf.text.served.remote import Typed, remote_openai
from pytest_gpuperf.text.served.tiny_gguf import tiny
from pytest_gpuperf.text.served.transformers_serve import refuse_missing_packages, start_transformers

if TYPE_CHECKING:
    from pytest_gpuperf.models import Scale

_OF_TRANSFORMERS = "text:"
_NAMED = re.compile(r"([\w.+-]+)=(.+)", re.DOTALL)
_UNSAFE = re.compile(r"[^\w.+-]")  # in the name of a file
_TYPED = Typed("gpuperf serve-study text NAME=", "behind its address, http://HOST:8000#MODEL")
_PROBE = 512  # tokens: the longest prompt by which the length of others is found
_STEP = 256  # tokens: contexts are multiples of it

Start = Callable[[Path], Server]  # in a folder for its files


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How servers that are started here serve."""

    device: str  # as --device says it
    torch_device: str
    scale: Scale
    parallel: int  # requests that are answered at once
    prompt_tokens: int
    max_new_tokens: int

    @property
    def context(self) -> int:
        """Tokens of a prompt, which may be longer than was asked for, with its answer."""
        needed = max(2 * self.prompt_tokens, _PROBE) + self.max_new_tokens
        return -(-needed // _STEP) * _STEP


def contenders(words: Sequence[str], setup: Setup) -> list[Contender]:
    """One for each ``NAME=WHERE``; alone, llama.cpp with its tiny model. What cannot be had at all is refused now."""
    found = [_contender(word, setup) for word in words or [str(tiny())]]
    files = [file_name(contender.name).lower() for contender in found]
    twice = next((c.name for c, name in zip(found, files, strict=True) if files.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"Several servers are called {twice!r}, and each has a file of its own. Give each a name: NAME=WHERE."
        )
    return found


def file_name(contender: str) -> str:
    """A contender's name as a part of a file's name."""
    return _UNSAFE.sub("-", contender)


def _contender(word: str, setup: Setup) -> Contender:
    named = _NAMED.fullmatch(word)
    name, where = named.groups() if named else (None, word)
    if re.match(r"https?://", where):
        address, _, model = where.partition("#")
        server = remote_openai(address, model or None, _TYPED)
        return Contender(name or server.url, lambda: _running(server))
    if where.startswith(_OF_TRANSFORMERS):
        refuse_missing_packages(where)
        return Contender(
            name or "transformers",
            lambda: _started(
                lambda folder: start_transformers(where, folder=folder, scale=setup.scale, device=setup.torch_device)
            ),
        )
    if not where.endswith(".gguf") and not Path(where).is_file():
        raise UsageError(
            f"There is no server {where!r}. Write its address (http://HOST:8000), a model for llama.cpp (FILE.gguf) or "
            f"one for transformers (text:NAME), with a name of yours before it: NAME=WHERE."
        )
    refuse_no_model(Path(where))
    return Contender(
        name or "llama.cpp",
        lambda: _started(
            lambda folder: start_llama_cpp(
                Path(where), folder=folder, parallel=setup.parallel, context=setup.context, device=setup.device
            )
        ),
    )


@contextmanager
def _running(server: Server) -> Generator[Server]:
    yield server


@contextmanager
def _started(start: Start) -> Generator[Server]:
    with scratch_folder("study") as folder:
        server = start(folder)
        try:
            yield server
        finally:
            server.stop()
