"""The fixture `text_server`: a language model's server for the tests of a module that ask, and always stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.plugin.servers import Servers, plainly

if TYPE_CHECKING:
    from pytest_gpuperf.models import Scale
    from pytest_gpuperf.serving.server import Server

_OF_TRANSFORMERS = "text:"
_PARALLEL, _CONTEXT = 4, 2048


class _Arguments(NamedTuple):
    """A call's arguments: the same ones mean the same server."""

    model: str | Path | None
    parallel: int | None
    context: int | None
    scale: Scale | None
    pretrained: bool
    port: int | None


class TextServerFactory(Servers):
    """Starts servers of language models: ``text_server("MODEL.gguf", parallel=8) -> Server``."""

    def __call__(
        self,
        model: str | Path | None = None,
        *,
        parallel: int | None = None,
        context: int | None = None,
        scale: Scale | None = None,
        pretrained: bool = False,
        port: int | None = None,
        timeout: float = 300.0,
    ) -> Server:
        """A server that is ready. One that was started with the same arguments, and is alive, is given again.

        A GGUF file is served by llama.cpp, which answers `parallel` requests at once (4), each of up to `context`
        tokens (2048); without a file it is a tiny model with random weights. ``text:NAME`` is served by transformers;
        scale and pretrained are as for `gpuperf_text`. With --gpuperf-openai-url it is the server there.
        """
        __tracebackhide__ = True
        arguments = _Arguments(model, parallel, context, scale, pretrained, port)
        return plainly(self._settings, lambda: self._server(arguments, timeout))

    def _server(self, arguments: _Arguments, timeout: float) -> Server:
        if self._settings.openai_url is not None:
            from pytest_gpuperf.text.served.remote import remote_openai

            return remote_openai(self._settings.openai_url, self._settings.openai_model)
        if (running := self.running(arguments)) is not None:
            return running
        of_transformers = isinstance(arguments.model, str) and arguments.model.startswith(_OF_TRANSFORMERS)
        start = self._of_transformers if of_transformers else self._of_llama_cpp
        self.servers[arguments] = start(arguments, timeout)
        return self.servers[arguments]

    def _of_llama_cpp(self, arguments: _Arguments, timeout: float) -> Server:
        from pytest_gpuperf.text.served.llama_cpp import start_llama_cpp
        from pytest_gpuperf.text.served.tiny_gguf import tiny

        _refuse("llama.cpp", scale=arguments.scale, pretrained=arguments.pretrained)
        return start_llama_cpp(
            tiny() if arguments.model is None else Path(arguments.model),
            folder=self._folder,
            parallel=_PARALLEL if arguments.parallel is None else arguments.parallel,
            context=_CONTEXT if arguments.context is None else arguments.context,
            device=self._settings.device,
            timeout=timeout,
            port=arguments.port,
        )

    def _of_transformers(self, arguments: _Arguments, timeout: float) -> Server:
        from pytest_gpuperf.device.choice import choose_device
        from pytest_gpuperf.text.served.transformers_serve import start_transformers

        _refuse("transformers serve", parallel=arguments.parallel, context=arguments.context)
        return start_transformers(
            str(arguments.model),
            folder=self._folder,
            scale=arguments.scale or self._settings.scale,
            pretrained=arguments.pretrained,
            device=choose_device(self._settings.device).torch_name,
            timeout=timeout,
            port=arguments.port,
        )


def _refuse(server: str, **without_effect: object) -> None:
    """What this server takes no notice of."""
    for name, value in without_effect.items():
        if value:
            raise UsageError(f"{name}={value!r} has no effect on {server}, which serves this model. Leave it out.")
