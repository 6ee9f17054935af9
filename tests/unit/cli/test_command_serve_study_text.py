"""`gpuperf serve-study text`: real loads of small servers that run already, and of llama.cpp's own."""

from __future__ import annotations

from importlib import util

import pytest
from openai_client import require
from scripted_stream import streaming

from pytest_gpuperf.cli import main
from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.records.study_files import read_text_study

TEXT = ("serve-study", "text")
QUICK = ("--device", "cpu", "--requests", "12", "--max-new-tokens", "4", "--prompt-tokens", "16")


def test_two_servers_are_compared_in_files_of_their_own(tmp_path, capsys):
    with streaming(first=0.002) as (_, quick), streaming(first=0.02) as (_, slow):
        servers = [f"quick=http://{quick.url}", f"slow=http://{slow.url}/v1"]
        asked = ["--concurrency", "2", "--rounds", "2", "--slo", "ttft=10s", "--into", str(tmp_path / "out")]
        code = main([*TEXT, *servers, *QUICK, *asked])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "round 2 of 2: slow" in said
    assert "100% met the limits" in said
    assert "unvalidated: which device did the work is not proven for quick, slow" in said
    studies = [read_text_study(file) for file in sorted((tmp_path / "out").glob("*.json"))]
    assert [s.contender for s in studies] == ["quick", "slow"]
    assert studies[0].asked == studies[1].asked
    assert studies[0].asked.slo == {"ttft": 10.0}
    assert [len(s.rounds) for s in studies] == [2, 2]
    quickest, slowest = (s.rounds[0].points[0].load.ttft.mean for s in studies)
    assert quickest < slowest
    (page,), (text,) = ((tmp_path / "out").glob(f"*.{kind}") for kind in ("html", "md"))
    assert "data:image/svg+xml;base64," in page.read_text()
    assert "Who is better at what" in text.read_text()
    pictures = {file.name for file in (tmp_path / "out").glob("*-charts/*")}
    assert {"ttft.svg", "ttft-dark.png", "tpot.svg", "throughput.svg", "goodput.png"} <= pictures
    for picture in (line.partition("](")[2].rstrip(")") for line in text.read_text().splitlines() if line[:2] == "!["):
        assert (tmp_path / "out" / picture).is_file()


def test_alone_it_studies_llama_cpp_with_a_tiny_model(tmp_path, monkeypatch, capsys):
    require("xllamacpp", "gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = ["--concurrency", "2", "--rounds", "1", "--into", str(tmp_path / "out")]
    assert main([*TEXT, *QUICK, *asked]) == 0
    said = capsys.readouterr().out
    assert "Recommended: llama.cpp at concurrency" in said or "No recommendation" in said
    (file,) = (tmp_path / "out").glob("*.json")
    study = read_text_study(file)
    assert [point.at for point in study.rounds[0].points] == [2]
    assert all(point.load.generated_tokens for point in study.rounds[0].points)
    assert study.rounds[0].server_start > 0
    assert study.configuration["devices"] == ["cpu"]
    assert study.configuration["parallel"] == 2


def test_rates_without_matplotlib(tmp_path, monkeypatch, capsys):
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *more: None if name == "matplotlib" else found(name, *more))
    with streaming() as (_, handle):
        asked = ["--rates", "40", "--rounds", "1", "--into", str(tmp_path / "out")]
        assert main([*TEXT, f"http://{handle.url}", *QUICK, *asked]) == 0
    said = " ".join(capsys.readouterr().out.split())  # sentences are broken where the terminal ends
    assert " rate 40: " in said
    assert "pip install 'pytest-gpuperf[report]'" in said
    (file,) = (tmp_path / "out").glob("*.json")
    assert file.name.endswith(f"-{handle.url.replace(':', '-')}.json")
    assert read_text_study(file).asked.points == (40.0,)
    assert not list((tmp_path / "out").glob("*-charts"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--concurrency", "1,2", "--rates", "1"), "not allowed with argument --concurrency"),
        (("--concurrency", "1,x"), "'1,x' are no numbers"),
        (("--concurrency", "0"), "0 is less than 1"),
        (("--requests", "1,2"), "'1,2' are several numbers"),
        (("--rates", "1,x"), "'1,x' are no rates. Write requests a second, like 0.5,1,2"),
        (("--rates", "0"), "0 is no rate: requests a second are above 0"),
        (("--rates", "inf"), "inf is no rate"),
        (("--api", "grpc"), "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_refused(capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        main([*TEXT, *arguments])
    assert ended.value.code == 4
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("vlm",), "There is no server 'vlm'"),
        (("--slo", "ttfb=1s"), "--slo: there is no limit on 'ttfb'"),
        (("--device", "tpu"), "'tpu' is not a device"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_is_measured(tmp_path, capsys, arguments, told):
    assert main([*TEXT, *arguments, "--into", str(tmp_path / "out")]) == 4
    captured = capsys.readouterr()
    assert told in captured.err
    assert "round 1" not in captured.out


def test_a_file_where_the_folder_should_be_is_said_first(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([*TEXT, "vlm", "--into", str(tmp_path / "file")]) == 4
    assert "cannot be written" in capsys.readouterr().err


def test_both_studies_have_a_help_of_their_own(capsys):
    for words, told in ((TEXT, "usage: gpuperf serve-study text "), (("serve-study",), "usage: gpuperf serve-study ")):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(told)
    assert parse(["serve-study", "resnet50"]).workload == "resnet50"
    assert parse([*TEXT]).servers == []
    assert parse([*TEXT, "--rates", "40,0.5"]).rates == (0.5, 40.0)
