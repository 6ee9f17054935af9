"""`transformers serve`, transformers' own server, for a model with random weights, or trained ones."""
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.server_process import READY_WITHIN
from pytest_gpuperf.text import lacking
from pytest_gpuperf.text.served.byte_tokens import CHAT_TEMPLATE, write_tokeniser
from pytest_gpuperf.text.served.local import LocalServer, start_local

if TYPE_CHECKING:
    from pytest_gpuperf.models import Scale
    from pytest_gpuperf.text.model import TextModel

_APP = "pytest_gpuperf.text.served.transformers_app"
_NEEDS = ("accelerate", "fastapi", "openai", "pydantic", "uvicorn")
_SAMPLE = "hello"
_ROLES = ("bos_token", "eos_token", "pad_token")


def start_transformers(
    model: str,
    *,
    folder: Path,
    scale: Scale = "full",
    pretrained: bool = False,
    device: str = "cpu",
    timeout: float = READY_WITHIN,
    port: int | None = None,
) -> Server:
    """A server of ``text:NAME``, as `gpuperf_text` has it. The time-out begins when the model has been made."""
    refuse_missing_packages(model)
    from pytest_gpuperf.text.model import PREFIX, load_text  # noqa: PLC0415 - torch

    folder.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix="transformers-", dir=folder))
    loaded = load_text(model, scale, pretrained=pretrained)
    written = own / Path(model.removeprefix(PREFIX)).resolve().name
    small = scale == "smoke" and device == "cpu"

    def command(port: int) -> Sequence[str]:
        return [sys.executable, "-P", "-u", "-m", _APP, str(written), str(port), device]

    # One thread for a small model, as where it runs without a server. Nothing of it has to be looked up.
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    environment |= {"OMP_NUM_THREADS": "1"} if small else {}
    what = LocalServer(name="transformers", command=command, environment=environment)
    try:
        tokeniser = _write(loaded, written)
        del loaded
        server = start_local(what, folder=own, timeout=timeout, port=port)
    finally:
        # The server has read them; pytest would keep these gigabytes for three runs.
        for weights in written.glob("*.safetensors"):
            weights.unlink()
    return replace(
        server,
        configuration={
            "server": f"transformers {metadata.version('transformers')}",
            "scale": scale,
            "pretrained": pretrained,
            "tokeniser": tokeniser,
            "threads": 1 if small else None,
            "devices": [device],
        },
    )


def _write(model: TextModel, folder: Path) -> str:
    """Write what `transformers serve` reads; gives whose tokeniser it has."""
    module = model.module
    if not model.pretrained:
        module.generation_config.eos_token_id = (
            None  # random weights mean nothing by an end, and all answers are as long
        )
    module.save_pretrained(folder)
    theirs = _own_tokeniser(model)
    if theirs is None:
        config = module.config.get_text_config()
        ids = {role: getattr(config, f"{role}_id", None) for role in _ROLES}
        write_tokeniser(folder, model.vocabulary, {role: one for role, one in ids.items() if isinstance(one, int)})
        return "a token for each byte"
    if theirs.chat_template is None:
        theirs.chat_template = CHAT_TEMPLATE
    theirs.save_pretrained(folder)
    return "the model's own"


def _own_tokeniser(model: TextModel) -> Any:
    """The model's own tokeniser; None where there is none here, or where it has tokens that a narrow model lacks."""
    if model.scale == "smoke":
        return None
    from transformers import AutoTokenizer  # noqa: PLC0415 - seconds

    try:
        theirs: Any = AutoTokenizer.from_pretrained(model.published)
    except (OSError, ValueError):
        return None
    # Where a folder has no tokeniser, an empty one of the model's kind is made for it.
    works = theirs.decode(theirs(_SAMPLE, add_special_tokens=False)["input_ids"]).strip() == _SAMPLE
    return theirs if works and len(theirs) <= model.vocabulary else None


def refuse_missing_packages(model: str) -> None:
    """Refuse a machine without transformers' server."""
    reason = lacking()
    if reason is not None:
        raise MissingError(f"{model}: {reason}")
    missing = [package for package in _NEEDS if util.find_spec(package) is None]
    if missing:
        raise MissingError(
            f"{model}: transformers serve needs {', '.join(missing)}, not installed here. Install what it needs: "
            f"pip install 'transformers[serving]'"
        )
