"""`transformers serve` in the folder above the model's: so its model is called by its name, and not by a path.

``python -m pytest_gpuperf.text.served.transformers_app FOLDER PORT DEVICE``
"""
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownVariableType=false

from __future__ import annotations

import os
import sys
from pathlib import Path

from transformers.cli.transformers import main

from pytest_gpuperf.serving.server_process import HOST

if __name__ == "__main__":
    folder, port, device = sys.argv[1:]
    os.chdir(Path(folder).parent)
    sys.argv = ["transformers", "serve", Path(folder).name, "--host", HOST, "--port", port, "--device", device]
    main()
