"""Where a Triton server comes from: PATH, the wheel's folder, a container; and why it may not."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from pytest_gpuperf.errors import FileError, MissingError
from pytest_gpuperf.serving import install, triton
from pytest_gpuperf.serving.triton import FromWheel, InDocker, OnPath

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STUB = "triton_python_backend_stub"


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A user with nothing: programs may be put into the folder."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("GPUPERF_TRITON", str(tmp_path / "wheel"))
    monkeypatch.delenv("GPUPERF_TRITON_IMAGE", raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(folder: Path, name: str, text: str = "") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def wheel(where: Path) -> Path:
    """What the wheel unpacks to."""
    program(where, "pytriton/tritonserver/bin/tritonserver")
    root = where / "pytriton/tritonserver"
    program(root, f"python_backend_stubs/{VERSION}/{STUB}")
    program(root, "backends/python/libtriton_python.so")
    return where


def test_nothing_says_how_to_get_one(machine):
    with pytest.raises(MissingError, match=r"no `tritonserver` on PATH(.|\n)*gpuperf triton install(.|\n)*HOST:PORT"):
        triton.find()


def test_a_container_then_the_wheel_then_the_path(machine):
    program(machine / "bin", "docker", "echo 'python:3.12\nregistry/nvidia/tritonserver:25.01-py3'")
    found = triton.find()
    assert found == InDocker("registry/nvidia/tritonserver:25.01-py3")
    assert str(found) == "the image registry/nvidia/tritonserver:25.01-py3"
    wheel(machine / "wheel")
    assert triton.find() == FromWheel(machine / "wheel")
    there = program(machine, "bin/tritonserver")
    (machine / "backends" / "onnxruntime").mkdir(parents=True)
    found = triton.find()
    assert found == OnPath(there)
    assert (found.how, found.backends, str(found)) == ("path", {"onnxruntime"}, str(there))


@pytest.mark.parametrize("docker", ["exit 1", "echo python:3.12", "exec sleep 60"])
def test_a_docker_that_has_no_image_or_does_not_answer_is_none(docker, machine, monkeypatch):
    monkeypatch.setenv("PATH", f"{machine / 'bin'}:/bin:/usr/bin")
    monkeypatch.setattr(triton, "_ENGINE_ANSWERS_WITHIN", 0.5)
    program(machine / "bin", "docker", docker)
    assert triton._image() is None


def test_an_image_of_one_s_choice(machine, monkeypatch):
    program(machine / "bin", "docker")
    monkeypatch.setenv("GPUPERF_TRITON_IMAGE", "mine:1")
    assert triton.find() == InDocker("mine:1")


def test_how_each_is_started(machine):
    repository = Path("/models")
    docker = InDocker("image:1", gpus=True).launch(repository, "m", (8000, 8002), ["--log-verbose=1"])
    assert list(docker.command[:6]) == ["docker", "run", "--pull=never", "--rm", "--init", "--name=gpuperf-8000"]
    assert "--gpus=all" in docker.command
    assert "--volume=/models:/models:ro" in docker.command
    assert docker.command[-1] == "--log-verbose=1"
    assert docker.regions == ""
    assert "--gpus=all" not in InDocker("image:1", gpus=False).launch(repository, "m", (1, 2), []).command
    there = OnPath(Path("/opt/tritonserver/bin/tritonserver")).launch(repository, "m", (8000, 8002), [])
    assert there.ready_url == "http://127.0.0.1:8000/v2/models/m/ready"
    assert there.environment is None
    ours = FromWheel(wheel(machine / "wheel")).launch(repository, "m", (8000, 8002), [])
    assert f"--backend-directory={machine}/wheel/pytriton/tritonserver/backends-{VERSION}" in ours.command
    assert ours.environment is not None
    assert ours.environment["PATH"].startswith(f"{sys.prefix}/bin:")
    assert ours.environment["LD_LIBRARY_PATH"].startswith(str(install.library_folder()))
    assert ours.regions.startswith(f"gpuperf-{os.getpid()}-")


def test_what_a_user_types_to_serve_with_each(machine):
    repository = Path("/my models")
    plain = "tritonserver '--model-repository=/my models' --disable-auto-complete-config"
    assert OnPath(Path("/opt/tritonserver/bin/tritonserver")).by_hand(repository) == plain
    mounted = "'--volume=/my models:/my models:ro'"
    there = InDocker("image:1", gpus=True).by_hand(repository)
    assert there == f"docker run --rm --init --network=host --shm-size=2g {mounted} --gpus=all image:1 {plain}"
    assert "--gpus" not in InDocker("image:1", gpus=False).by_hand(repository)


def test_the_stub_of_this_python_stands_beside_its_library(tmp_path):
    ready = install.backends(wheel(tmp_path))
    assert sorted(p.name for p in (ready / "python").iterdir()) == ["libtriton_python.so", STUB]
    assert os.access(ready / "python" / STUB, os.X_OK)
    assert install.backends(tmp_path) == ready
    assert not list(ready.parent.glob("tmp*"))


def test_a_python_that_has_no_stub(tmp_path):
    stubs = wheel(tmp_path) / "pytriton/tritonserver/python_backend_stubs"
    (stubs / VERSION).rename(stubs / "2.7")
    with pytest.raises(MissingError, match=rf"no Python back end for Python {VERSION}; it has one for 2.7"):
        install.backends(tmp_path)


def test_installing_asks_pip_for_the_checked_wheel_alone(tmp_path, monkeypatch):
    asked = []

    def pip(*arguments: str) -> None:
        asked.append(Path(arguments[-1]).read_text())
        assert "--require-hashes" in arguments
        wheel(Path(arguments[1]))

    monkeypatch.setattr(install, "_pip", pip)
    where = tmp_path / "cache" / "triton"
    where.mkdir(parents=True)  # a stopped installation
    assert install.install(where)
    assert install.installed(where)
    assert not install.install(where)
    checksum = install._CHECKSUMS[platform.machine()]
    assert asked == [f"nvidia-pytriton==0.7.0 --hash=sha256:{checksum}\n"]
    assert [p.name for p in where.parent.iterdir()] == ["triton"]


def test_a_folder_of_somebody_elses_is_left_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").touch()
    monkeypatch.setattr(install, "_pip", lambda *_: pytest.fail("nothing is fetched for it"))
    with pytest.raises(FileError, match=r"is left as it is: it is not empty, and gpuperf did not make it"):
        install.install(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_pip_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "_CHECKSUMS", {platform.machine(): "not a checksum"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(MissingError, match=r"pip could not fetch nvidia-pytriton 0.7.0: (.|\n)*gpuperf triton install"):
        install.install(tmp_path / "triton")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("machine", "libc"), [("riscv64", ("glibc", "2.40")), ("x86_64", ("glibc", "2.31")), ("x86_64", ("", ""))]
)
def test_a_machine_for_which_there_is_no_wheel(machine, libc, tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(MissingError, match=r"no server for this machine(.|\n)*Put a tritonserver on PATH"):
        install.install(tmp_path / "triton")


def test_a_python_without_its_library_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    with pytest.raises(MissingError, match=rf"apt-get install libpython{VERSION}"):
        install.library_folder()


def test_the_cache_is_this_user_s(monkeypatch, tmp_path):
    monkeypatch.delenv("GPUPERF_TRITON", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert install.folder() == tmp_path / "pytest-gpuperf" / "nvidia-pytriton-0.7.0"
