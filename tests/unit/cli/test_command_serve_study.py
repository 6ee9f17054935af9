"""`gpuperf serve-study`: real loads of small servers that run already, and one that it starts itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from scripted_server import MODEL, WIDTH, scripted

from pytest_gpuperf.cli import main
from pytest_gpuperf.models import Built, model, registry
from pytest_gpuperf.records.study_files import read_study

QUICK = ("--device", "cpu", "--requests", "12", "--window-seconds", "0.05", "--concurrency", "4")


class Doubling(torch.nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.fixture(autouse=True)
def doubler(monkeypatch):
    monkeypatch.setattr(registry, "_own", dict(registry._own))

    @model(MODEL)
    def build(scale, pretrained):
        return Built(Doubling(), lambda batch, generator: (torch.randn(batch, WIDTH, generator=generator),))


def test_two_servers_are_compared_in_files_of_their_own(tmp_path, capsys):
    with scripted(service=0.001) as (_, quick), scripted(service=0.004) as (_, slow):
        urls = ["--torch-url", slow.url, "--triton-url", quick.url]
        asked = ["--batches", "1,2", "--protocol", "binary", "--rounds", "2"]
        code = main(["serve-study", MODEL, *QUICK, *urls, *asked, "--into", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "round 2 of 2: torch" in said
    assert "Recommended: triton-onnx" in said
    studies = [read_study(file) for file in sorted((tmp_path / "out").glob("*.json"))]
    assert [s.backend for s in studies] == ["torch", "triton-onnx"]
    assert [len(s.rounds) for s in studies] == [2, 2]
    assert len(studies[0].rounds[0].visits) == 3  # one at a time, in batches, many at once
    assert studies[0].asked.workload == MODEL
    (page,), (text,) = ((tmp_path / "out").glob(f"*.{kind}") for kind in ("html", "md"))
    assert "Where the time goes" in page.read_text()
    assert "Where the time goes" in text.read_text()


def test_ctrl_c_writes_the_rounds_that_were_finished(tmp_path, capsys, monkeypatch):
    def stop_in_the_second(number, rounds, notes, say):
        if number == 1:
            raise KeyboardInterrupt
        yield from notes

    monkeypatch.setattr("pytest_gpuperf.serving.run_study.in_round", stop_in_the_second)
    with scripted() as (_, handle):
        arguments = ["serve-study", MODEL, *QUICK, "--backends", "torch", "--torch-url", handle.url, "--batches", "1"]
        code = main([*arguments, "--protocol", "binary", "--rounds", "3", "--into", str(tmp_path)])
    output = capsys.readouterr()
    assert code == 2
    assert "interrupted; the files hold the 1 of 3 rounds that were finished." in output.err
    assert "stopped early: 1 of 3 rounds were finished" in output.out
    assert "Medians of 1 round;" in output.out
    (file,) = tmp_path.glob("*.json")
    assert len(read_study(file).rounds) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--backends", "torch,tensorrt"), "'tensorrt' is none of: torch, triton-onnx, triton-torch"),
        (("--batches", "1,x"), "'1,x' are no numbers"),
        (("--rounds", "0"), "0 is less than 1"),
        (("--requests", "200,100"), "'200,100' are several numbers, and one is wanted"),
        (("--protocol", "grpc"), "'grpc' is none of: binary, json"),
    ],
)
def test_what_makes_no_sense_is_refused(capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        main(["serve-study", MODEL, *arguments])
    assert ended.value.code == 4
    assert told in capsys.readouterr().err


def test_without_torch_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else SimpleNamespace())
    assert main(["serve-study", MODEL]) == 4
    assert "pip install 'pytest-gpuperf[suite,onnx,serving]'" in capsys.readouterr().err


def test_a_file_stands_where_the_folder_should(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with scripted() as (_, handle):
        arguments = ["serve-study", MODEL, *QUICK, "--backends", "torch", "--torch-url", handle.url, "--batches", "1"]
        code = main([*arguments, "--protocol", "binary", "--rounds", "1", "--into", str(tmp_path / "file")])
    assert code == 4
    assert "cannot be written" in capsys.readouterr().err
