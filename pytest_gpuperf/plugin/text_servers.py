"""The fixture `text_server`: a language model's server for the tests of a module that ask, and always stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.plugin.servers import Servers, plain_errors

if TYPE_CHECKING:
    from pytest_gpuperf.models import Scale
    from pytest_gpuperf.serving.server import Server

_OF_TRANSFORMERS = "text:"


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
        with plain_errors(self._settings):
            if self._settings.openai_url is not None:
                from pytest_gpuperf.text.served.remote import remote_openai

                return remote_openai(self._settings.openai_url, self._settings.openai_model)
            key = (model, parallel, context, scale, pretrained, port)
            running = self.running(key)
            if running is not None:
                return running
            if isinstance(model, str) and model.startswith(_OF_TRANSFORMERS):
                _refuse(model, "transformers serve", parallel=parallel, context=context)
                server = self._of_transformers(model, scale, pretrained, port, timeout)
            else:
                _refuse(model or "the tiny model", "llama.cpp's server", scale=scale, pretrained=pretrained or None)
                server = self._of_llama_cpp(model, parallel, context, port, timeout)
            self.servers[key] = server
            return server

    def _of_llama_cpp(
        self, model: str | Path | None, parallel: int | None, context: int | None, port: int | None, timeout: float
    ) -> Server:
        from pytest_gpuperf.text.served.llama_cpp import start_llama_cpp
        from pytest_gpuperf.text.served.tiny_gguf import tiny

        return start_llama_cpp(
            tiny() if model is None else Path(model),
            folder=self._folder,
            parallel=4 if parallel is None else parallel,
            context=2048 if context is None else context,
            device=self._settings.device,
            timeout=timeout,
            port=port,
        )

    def _of_transformers(
        self, model: str, scale: Scale | None, pretrained: bool, port: int | None, timeout: float
    ) -> Server:
        from pytest_gpuperf.device.choice import choose_device
        from pytest_gpuperf.text.served.transformers_serve import start_transformers

        return start_transformers(
            model,
            folder=self._folder,
            scale=scale or self._settings.scale,
            pretrained=pretrained,
            device=choose_device(self._settings.device).torch_name,
            timeout=timeout,
            port=port,
        )


def _refuse(model: str | Path, server: str, **given: object) -> None:
    """An argument that has no effect there."""
    name = next((name for name, value in given.items() if value is not None), None)
    if name is not None:
        raise UsageError(f"{model} is served by {server}, which has no {name}. Leave {name} out.")
