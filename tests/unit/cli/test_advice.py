"""What messages tell people to type is what the tool takes: every command, option and marker in every string."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import pytest_gpuperf
from pytest_gpuperf.cli.arguments import COMMANDS, parse
from pytest_gpuperf.plugin.options import OPTIONS
from pytest_gpuperf.plugin.settings import MARKER_KEYS

PACKAGE = Path(pytest_gpuperf.__file__).parent
NAMES = "|".join(command.name for command in COMMANDS)
COMMAND = re.compile(rf"\bgpuperf ((?:{NAMES})\b(?: [^`\n]*)?)")
ENDS = re.compile(r"(?<!\.)[;:,.)](?= |$)| \(.*| or .*| and .*")  # of a command within a sentence
OPTION = re.compile(r"(--gpuperf-[a-z]+(?:-[a-z]+)*)(?:[ =]([^ `;,)]+))?")
MARKER = re.compile(r"@pytest\.mark\.gpuperf\((\w+)=")


def strings() -> list[tuple[str, str]]:
    """Every string of the package, with where it stands; what is filled in is a 5."""
    found: list[tuple[str, str]] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if node in documentation or node in inside:
                continue
            if isinstance(node, ast.JoinedStr):
                text = "".join(map(filled, node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            found.append((f"{path.relative_to(PACKAGE)}:{node.lineno}", text))
    return found


def filled(part: ast.expr) -> str:
    """A part of a string; what is filled in is a 5, but where only words of a command can stand."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    source = ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ""
    if source.endswith((".tail()", "tail")):
        return " -- 5"
    return "--into 5" if source in {"INTO", "into"} else "5"


def commands(text: str) -> list[str]:
    """The commands in a text, without the sentence around them; one that goes on in prose is only named."""
    return [ENDS.split(found)[0].strip() for found in COMMAND.findall(text)]


STRINGS = strings()
ADVISED = sorted({(command, where) for where, text in STRINGS for command in commands(text)})


def is_prose(command: str) -> bool:
    """ "gpuperf calibrate records them": a lower-case word follows that is no file."""
    words = command.split()[1:]
    return bool(words) and re.fullmatch(r"[a-z]+", words[0]) is not None and not words[0].endswith(("json", "html"))


@pytest.mark.parametrize(("command", "where"), [pytest.param(c, w, id=f"{w} {c}") for c, w in ADVISED])
def test_every_command_is_one_that_the_parser_takes(command, where):
    _, *arguments = command.split()
    if not arguments or arguments == ["..."] or is_prose(command):
        return  # it is only named
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            parse(shlex.split(command))
    else:
        assert callable(parse(shlex.split(command)).run), where


def test_every_option_is_there_and_takes_what_is_advised():
    known = {option.flag: option for option in OPTIONS}
    named = {(flag, value, where) for where, text in STRINGS for flag, value in OPTION.findall(text)}
    assert len({flag for flag, _, _ in named}) > 10
    for flag, value, where in named:
        assert flag in known, where
        if known[flag].kind != "flag" and "%" in value:
            known[flag].convert(value.rstrip(".:"), where)


def test_every_marker_takes_what_is_advised():
    keys = {(key, where) for where, text in STRINGS for key in MARKER.findall(text)}
    assert {key for key, _ in keys} >= {"margin"}
    assert {key for key, _ in keys} <= set(MARKER_KEYS)
