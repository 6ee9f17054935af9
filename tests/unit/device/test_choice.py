from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_gpuperf.device import cuda
from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.errors import DeviceError, UsageError


def test_the_processor_is_there_and_costs_no_torch():
    code = (
        "import sys; from pytest_gpuperf.device.choice import choose_device; c = choose_device('cpu'); "
        "assert c.device.kind == 'cpu' and c.index is None and c.card is None; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_auto_takes_the_processor_where_torch_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    chosen = choose_device("auto")
    assert chosen.device.kind == "cpu"
    assert chosen.clock.name == "host"
    assert chosen.memory.source == "RSS"
    assert chosen.environment().device == chosen.device
    assert chosen.environment().software["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("request_", ["gpu", "cuda:", "cuda:x", "CUDA", "", "cuda:-1", "cpu:0", "cuda:12345"])
def test_an_unknown_name_lists_the_choices(request_):
    with pytest.raises(UsageError, match=r"auto, cuda, cuda:N .*, cpu"):
        choose_device(request_)


@pytest.mark.parametrize("request_", ["cuda", "cuda:1"])
def test_cuda_without_torch_says_what_to_install(monkeypatch, request_):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DeviceError, match=r"pip install 'pytest-gpuperf\[torch\]'.*--gpuperf-device cpu"):
        choose_device(request_)


def test_a_cpu_only_build_is_known_without_importing_it(monkeypatch, tmp_path):
    installed = tmp_path / "torch-9.9.9+cpu.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9+cpu\n")
    (tmp_path / "torch.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    reason = cuda.why_missing()
    assert reason
    assert "CPU-only" in reason


@pytest.mark.parametrize("value", ["", "-1", " "])
def test_hidden_cards_are_named_as_hidden(monkeypatch, value):
    pytest.importorskip("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(DeviceError, match="unset CUDA_VISIBLE_DEVICES"):
        choose_device("cuda")
    assert choose_device("auto").device.kind == "cpu"


def test_without_a_driver_it_says_so_and_imports_no_torch():
    pytest.importorskip("torch")
    if cuda.why_missing() is None:
        pytest.skip("this machine has a CUDA device")
    code = (
        "import sys\n"
        "from pytest_gpuperf.device.choice import choose_device\n"
        "from pytest_gpuperf.errors import DeviceError\n"
        "assert choose_device('auto').device.kind == 'cpu'\n"
        "try: choose_device('cuda')\n"
        "except DeviceError as error: assert 'libcuda.so.1' in str(error) and 'nvidia-smi' in str(error), error\n"
        "else: raise AssertionError('no error')\n"
        "assert 'torch' not in sys.modules"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_an_empty_list_of_cards_is_no_mistake_of_ours(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    if cuda.why_missing() is None:
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(DeviceError) as caught:
        choose_device("cuda")
    assert "CUDA_VISIBLE_DEVICES" not in str(caught.value)
