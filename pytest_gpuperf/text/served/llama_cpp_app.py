"""llama.cpp's own server in a process of its own, until that is ended.

``python -m pytest_gpuperf.text.served.llama_cpp_app ORDER.json``
"""
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import xllamacpp

from pytest_gpuperf.text.served.llama_cpp import devices_for


def _serve(order: dict[str, Any]) -> None:
    kinds = xllamacpp.ggml_backend_dev_type
    gpus = [
        found["name"]
        for found in xllamacpp.get_device_info()
        if found["type"] in {kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU}
    ]
    devices = devices_for(order["device"], gpus)
    Path(order["devices"]).write_text(json.dumps(devices), encoding="utf-8")
    if not devices:
        sys.exit(f"No {order['device']} among the devices of this build of llama.cpp: {gpus or 'the processor alone'}")
    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = order["file"]
    parameters.model_alias = {order["model"]}
    parameters.port = order["port"]
    parameters.n_parallel = order["parallel"]
    parameters.n_ctx = order["context"]  # of all sequences together
    parameters.endpoint_metrics = True
    if order["threads"] is not None:
        parameters.cpuparams.n_threads = order["threads"]
    if devices == ["cpu"]:
        parameters.n_gpu_layers = 0
    elif order["device"] != "auto":
        parameters.split_mode = xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_NONE
        parameters.main_gpu = int(devices[0].removeprefix("cuda:"))
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        sys.exit(f"llama.cpp does not serve {order['file']}: the lines above say why ({error})")
    print(f"gpuperf: {order['model']} serves on {', '.join(devices)} at {server.listening_address}")
    # llama.cpp's own end waits half a minute for an answer that is on its way, and some builds take SIGTERM for that.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        signal.pause()


if __name__ == "__main__":
    _serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
