"""What torch was set to when a call ran: global switches that change its speed and leave its code as it is."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

_WORDS = {True: "on", False: "off"}
_OLDER_NAMES = {"tf32": "high", "bf16": "medium"}  # of a precision of products; any other is the highest


def torch_settings(*, cuda: bool) -> dict[str, str]:
    """Switch -> its state, in words."""
    import torch  # noqa: PLC0415 - the caller has run it

    kind = "cuda" if cuda else "cpu"
    found: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "matmul precision": _matmul_precision(torch, cuda=cuda),
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


def _matmul_precision(torch: Any, *, cuda: bool) -> str:
    """The newer switch (torch 2.9) is what kernels go by; reading the older raises where the two differ."""
    backends = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return torch.get_float32_matmul_precision()
    switch = backends.cuda.matmul if cuda else backends.mkldnn.matmul
    return _OLDER_NAMES.get(switch.fp32_precision, "highest")


def _tf32(cudnn: Any) -> bool | str:
    """Newer torch has a switch for convolutions and one for recurrent layers."""
    if not hasattr(cudnn, "fp32_precision"):
        return cudnn.allow_tf32
    convolutions, recurrent = (part.fp32_precision == "tf32" for part in (cudnn.conv, cudnn.rnn))
    if convolutions == recurrent:
        return convolutions
    return f"{_WORDS[convolutions]} in convolutions, {_WORDS[recurrent]} in recurrent layers"
