"""Every `gpuperf` command of the pages on baselines, ratios and other tools' files is one that the parser takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pytest_gpuperf.cli.arguments import parse

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("page", "at_least"),
    [
        ("baselines/README.md", 4),
        ("docs/ratios.md", 3),
        ("docs/numa.md", 4),
        ("docs/vit-study.md", 6),
        ("docs/interchange.md", 3),
    ],
)
def test_commands_of(page, at_least):
    text = (ROOT / page).read_text()
    commands = re.findall(r"^    (?:\$ )?gpuperf (.*?)(?: +#.*| > .*)?$", text, re.MULTILINE)
    assert len(commands) >= at_least
    for command in commands:
        options = parse(shlex.split(command))
        assert callable(options.run)
