"""The fixture `gpuperf_text`: a language model generates, as cases like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.device.memory import is_out_of_memory
from pytest_gpuperf.errors import MissingError, OutOfMemoryError
from pytest_gpuperf.plugin.fixtures import name_of_part, take_name
from pytest_gpuperf.plugin.progress import phase_named
from pytest_gpuperf.plugin.servers import plainly
from pytest_gpuperf.plugin.settings import TestSettings, of_test
from pytest_gpuperf.plugin.ways import Request

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.session import GpuperfSession
    from pytest_gpuperf.records.generation import Generation
    from pytest_gpuperf.text import CausalModel
    from pytest_gpuperf.text.generating import Generate
    from pytest_gpuperf.text.stream import Figure

_PARTS: tuple[Figure, ...] = ("ttft", "decode")  # of a call, judged as cases of their own


@dataclass
class GpuPerfText:
    """Has a language model generate for a test; records that and has it compared."""

    _item: pytest.Item
    _session: GpuperfSession
    _names: set[str | None] = field(default_factory=set[str | None])

    def __call__(
        self,
        model: str | CausalModel,
        prompts: int | Sequence[str] | Sequence[Sequence[int]] = 4,
        *,
        max_new_tokens: int = 64,
        prompt_tokens: int = 32,
        batch: int = 1,
        backend: str = "eager",
        precision: str = "fp32",
        pretrained: bool = False,
        name: str | None = None,
        energy: bool | None = None,
    ) -> Generation:
        """Generate `max_new_tokens` for each prompt, `batch` of them together: ``gpuperf_text("text:phi-2")``.

        Three cases are recorded: the whole call, whose throughput is generated tokens a second; ``#ttft``, until the
        first token came; ``#decode``, from the first to the last. `prompts` is a number of them, drawn with
        `prompt_tokens` tokens each; or texts; or lists of token ids. The back ends: eager, static, compile. A model of
        your own is taken as it is and where it is.
        """
        __tracebackhide__ = True
        session = self._session
        session.called.add(self._item.nodeid)

        def measured() -> Generation:
            __tracebackhide__ = True
            for each in (name, *(name_of_part(name, part) for part in _PARTS)):
                take_name(self._item, self._names, each, 'gpuperf_text("text:phi-2", name="long")')
            settings = of_test(self._item, session.settings)
            if energy is not None:
                settings = replace(settings, energy=energy)
            _refuse_where_packages_are_missing(_name_of(model))
            from pytest_gpuperf.text.generating import opened_text

            chosen = session.recorder.chosen
            with (
                opened_text(
                    model,
                    prompts,
                    prompt_tokens=prompt_tokens,
                    max_new_tokens=max_new_tokens,
                    batch=batch,
                    backend=backend,
                    precision=precision,
                    pretrained=pretrained,
                    scale=session.settings.scale,
                    device=chosen.torch_name,
                    synchronize=chosen.clock.synchronize,
                ) as generate,
                phase_named(),
            ):
                return self._measured(generate, name, settings)

        try:
            return plainly(session.settings, measured)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            too_large = (
                f"{_name_of(model)} does not fit on {session.recorder.chosen.device.name} in {precision}: {error}"
            )
        session.recorder.chosen.memory.release()  # what had been built of it is gone with the error
        raise OutOfMemoryError(f"{too_large}. Take a smaller model, or a precision of fewer bytes.")

    def _measured(self, generate: Generate, name: str | None, settings: TestSettings) -> Generation:
        __tracebackhide__ = True
        way, session = self._session.way, self._session
        whole = way.measure(Request(self._item, generate, (), generate.items, name, settings))
        found = whole.generation or generate.generation([generate.last])
        # The self-test slows whole calls down, and no part of them.
        if session.settings.disable or session.recorder.slowdown:
            return found
        settings = replace(settings, energy=False)
        for part in _PARTS[: generate.max_new_tokens]:
            known = generate.read_off(whole, part) if whole.generation else None
            alone = generate.of(part)
            way.measure(Request(self._item, alone, (), alone.items, name_of_part(name, part), settings, known))
        return found


def _name_of(model: str | CausalModel) -> str:
    return model if isinstance(model, str) else type(model).__name__


def _refuse_where_packages_are_missing(model: str) -> None:
    from pytest_gpuperf.text import lacking

    if (reason := lacking()) is not None:
        raise MissingError(f"{model}: {reason}")
