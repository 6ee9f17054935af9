"""What torch was set to when a call ran: global switches that change its speed and leave its code as it is."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

_WORDS = {True: "on", False: "off"}


def torch_settings(*, cuda: bool) -> dict[str, str]:
    """Switch -> its state, in words."""
    import torch  # noqa: PLC0415 - the caller has run it

    kind = "cuda" if cuda else "cpu"
    found: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "autocast": str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
        if torch.is_autocast_enabled(kind)
        else "off",
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    if cuda:
        found |= {
            "cudnn": torch.backends.cudnn.enabled,
            "cudnn.benchmark": torch.backends.cudnn.benchmark,
            "cudnn.deterministic": torch.backends.cudnn.deterministic,
            "flash attention": torch.backends.cuda.flash_sdp_enabled(),
        }
        if torch.backends.cudnn.is_available():
            found["cudnn tf32"] = _tf32(torch.backends.cudnn)
    else:
        found["onednn"] = torch.backends.mkldnn.enabled
    return {name: _WORDS[value] if isinstance(value, bool) else str(value) for name, value in found.items()}


def _tf32(switches: Any) -> bool | str:
    """Newer torch names the precision instead, and refuses the older name where the newer was used."""
    try:
        return switches.allow_tf32
    except RuntimeError:
        return str(switches.fp32_precision)
