"""The README's tables name what there is: every option, command and exported name."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import pytest_gpuperf
from pytest_gpuperf import analysis
from pytest_gpuperf.cli.arguments import COMMANDS
from pytest_gpuperf.plugin.options import OPTIONS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_stands_in_the_readme(option):
    shown = option.flag if option.metavar is None else f"{option.flag} {option.metavar}"
    assert f"| `{shown}` |" in README


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_stands_in_the_readme(command):
    assert f"`gpuperf {command.name}" in README


@pytest.mark.parametrize("name", pytest_gpuperf.__all__)
def test_every_exported_name_is_there(name):
    assert getattr(pytest_gpuperf, name) is not None


def test_what_is_not_exported_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pytest_gpuperf.nothing  # noqa: B018


@pytest.mark.parametrize("package", [pytest_gpuperf, analysis])
def test_every_lazy_name_is_exported(package):
    names = inspect.getclosurevars(package.__getattr__).nonlocals["names"]
    assert names
    assert set(names) <= set(package.__all__)
