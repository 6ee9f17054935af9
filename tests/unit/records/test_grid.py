"""Where the power comes from: a figure of one's own, or a country's as codecarbon has it."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_gpuperf.errors import MissingError, UsageError
from pytest_gpuperf.records.grid import parse_grid


def test_grams_of_one_s_own():
    grid = parse_grid("56.5")
    assert grid.grams_per_kwh == 56.5
    assert grid.source == "56.5 g CO2e/kWh, as given"
    assert grid.grams(3.6e6) == 56.5


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e9", "France", "FR", "", "5 g"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(UsageError, match="write grams of CO2 equivalent per kWh, like 56, or a country"):
        parse_grid(text)


@pytest.fixture
def codecarbon(tmp_path, monkeypatch):
    """An installed codecarbon: the one file of it that is read, and its version."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "codecarbon"]:
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "codecarbon" / "data" / "private_infra"
    folder.mkdir(parents=True)
    (tmp_path / "codecarbon" / "__init__.py").write_text("")
    mix = {"FRA": {"carbon_intensity": 56.039, "country_name": "France", "year": 2023}}
    (folder / "global_energy_mix.json").write_text(json.dumps(mix))
    about = tmp_path / "codecarbon-3.3.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: codecarbon\nVersion: 3.3.2\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("codecarbon")
def test_a_country_s():
    grid = parse_grid("fra")
    assert grid.grams_per_kwh == 56.039
    assert grid.source == "56.039 g CO2e/kWh, France 2023, by codecarbon 3.3.2"


@pytest.mark.usefixtures("codecarbon")
def test_a_country_that_is_none():
    with pytest.raises(UsageError, match="codecarbon knows no country by these letters"):
        parse_grid("XXX")


def test_without_codecarbon_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingError, match=r"pip install 'pytest-gpuperf\[energy\]', or give grams"):
        parse_grid("FRA")
