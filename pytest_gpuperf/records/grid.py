"""Grams of CO2 equivalent that a kilowatt-hour stands for: as somebody says, or a country's by codecarbon's data."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from importlib import metadata, resources, util
from typing import Any

from pytest_gpuperf.errors import MissingError, UsageError

_DATA = "data/private_infra/global_energy_mix.json"


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the power comes from."""

    grams_per_kwh: float
    source: str

    def grams(self, joules: float) -> float:
        """What so many joules stand for."""
        return joules / 3.6e6 * self.grams_per_kwh


def parse_grid(text: str) -> Grid:
    """``56`` grams, or a country by its three letters: ``FRA``."""
    if re.fullmatch(r"[A-Za-z]{3}", text) and text.lower() not in {"nan", "inf"}:
        return _of_country(text.upper())
    try:
        grams = float(text)
    except ValueError:
        grams = math.nan
    if not 0 <= grams <= 1e4:
        raise UsageError(
            f"--grid {text}: write grams of CO2 equivalent per kWh, like 56, or a country by its three letters, "
            f"like FRA."
        )
    return Grid(grams, f"{text} g CO2e/kWh, as given")


def _of_country(code: str) -> Grid:
    # The file alone: importing codecarbon takes seconds, and asks where we are.
    if util.find_spec("codecarbon") is None:
        raise MissingError(
            f"--grid {code}: the figures of countries are codecarbon's, not installed here. Install it with: "
            f"pip install 'pytest-gpuperf[energy]', or give grams of CO2 equivalent per kWh: --grid 56"
        )
    countries: dict[str, dict[str, Any]] = json.loads((resources.files("codecarbon") / _DATA).read_text())
    country = countries.get(code)
    if country is None:
        raise UsageError(f"--grid {code}: codecarbon knows no country by these letters. They are ISO 3166's, like FRA.")
    grams = float(country["carbon_intensity"])
    return Grid(
        grams,
        f"{grams:g} g CO2e/kWh, {country['country_name']} {country['year']}, "
        f"by codecarbon {metadata.version('codecarbon')}",
    )
