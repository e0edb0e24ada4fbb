"""What the pages tell the user to type exists: commands, options, targets of make.

``python tests/unit/test_docs_commands.py`` writes the tables of the page on the commands anew.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from aga.cli.main import build_app, main

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "commands.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(aga [^`]+)`")
KINDS = {"<int range>": " N", "<int>": " N", "<float range>": " SECONDS", "<list[str]>": " WORD"}
ENDS = {"|", "||", "&&", ";", "&"}


def typed() -> Iterator[tuple[str, str]]:
    """Give every line to type, with its page; of sessions those behind the prompt."""
    for page in PAGES:
        for language, body in FENCE.findall(page.read_text("utf-8")):
            if language in {"console", "bash", "sh"}:
                block = body.replace("\\\n", " ").split("\n")
                prompted = [line[2:] for line in block if line.startswith("$ ")]
                yield from ((name(page), line) for line in prompted or block if line.strip())


def mentioned() -> Iterator[tuple[str, str]]:
    """Give every command of aga that the text names, with its page."""
    for page in PAGES:
        for words in INLINE.findall(FENCE.sub("", page.read_text("utf-8"))):
            yield name(page), " ".join(words.split())


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(lines: Iterator[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Give the words of each command, without pipes, redirections and comments."""
    found = []
    for page, line in lines:
        words: list[str] = []
        split = shlex.split(spaced(line), comments=True)
        for before, word in zip(["", *split], [*split, ";"], strict=True):
            if before == ">" or word == ">":
                continue
            if word not in ENDS:
                words.append(word)
            elif words:
                found.append((page, words))
                words = []
    return found


def spaced(line: str) -> str:
    """Let a semicolon outside quotes stand for itself."""
    return re.sub(r"""('[^']*'|"[^"]*")|;""", lambda m: m[1] or " ; ", line)


def program() -> Any:
    return typer.main.get_command(build_app())


def parse(words: list[str]) -> None:
    """Parse a command line of aga as the program would; raises what the parser raises."""
    command, context = program(), None
    words = list(words)
    while hasattr(command, "get_command"):
        if not words or words[0].startswith("-"):
            command.make_context("aga", words, resilient_parsing=True)
            return
        context = typer.Context(command)
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        words.pop(0)
        command = found
    if words[:1] not in (["--help"], ["-h"]):
        command.make_context(command.name, words)


def test_commands_to_type_are_right() -> None:
    found = [(page, words[1:]) for page, words in commands(typed()) if words[0] == "aga"]
    assert len(found) > 30
    assert {"README.md", "docs/tutorials/first-search.md"} <= {page for page, _ in found}
    for page, words in found:
        try:
            parse(words)
        except Exception as error:  # noqa: BLE001 - whatever the parser raises
            pytest.fail(f"{page}: aga {' '.join(words)}: {error}")


def test_commands_mentioned_exist() -> None:
    """A mention may leave arguments and values away."""
    for page, line in mentioned():
        words = line.split()[1:]
        if "…" in words or "|" in line or "COMMAND" in words:
            continue
        try:
            parse(shlex.split(line)[1:])
        except Exception as error:  # noqa: BLE001 - whatever the parser raises
            if not re.search(r"Missing|requires an argument", str(error)):
                pytest.fail(f"{page}: {line}: {error}")


def test_the_check_can_fail() -> None:
    for words in (["rum", "x.yaml"], ["run", "--workrs", "2", "x.yaml"], ["best", "-n", "many"]):
        with pytest.raises(Exception, match=r"workrs|valid integer|rum"):
            parse(words)


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {word for _, words in commands(typed()) if words[0] == "make" for word in words[1:]}
    assert {"demo", "test"} <= named <= targets


def test_programs_are_known() -> None:
    known = {
        *("aga", "make", "python3", "source", "pip", "sudo", "mkdir", "cd", "cp", "sed", "chmod"),
        *("lpad", "rlaunch", "qlaunch", "sbatch", "srun", "mongosh", ".venv/bin/pre-commit"),
        *(".venv/bin/python",),
    }
    for page, words in commands(typed()):
        word = next(w for w in words if not re.fullmatch(r"[A-Z_]+=.*", w))
        assert word in known, f"{page}: {' '.join(words)}"


def documented() -> list[str]:
    """Give the name of each command."""

    def below(name: str, command: Any) -> Iterator[str]:
        if not hasattr(command, "get_command"):
            yield name
            return
        context = typer.Context(command)
        for part in command.list_commands(context):
            yield from below(f"{name} {part}", command.get_command(context, part))

    return list(below("aga", program()))


def table(command: str) -> str:
    """Give the arguments and options of a command, from what its ``--help`` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([*command.split()[1:], "--help"]) == 0
    rows: list[list[str]] = []
    _, _, listed = re.sub(
        r"^(Arguments|Options):$", "§", printed.getvalue(), flags=re.MULTILINE
    ).partition("§")
    for line in listed.split("\n"):
        if begun := re.match(r"  (\S.*?)(?:  +(.*))?$", line):
            rows.append([begun[1], begun[2] or ""])
        elif rows and line.startswith("      "):
            rows[-1][1] += f" {line.strip()}"
    kept = [
        (
            re.sub(r" ?<[^>]*>+", lambda m: KINDS.get(m[0].strip(), ""), option),
            " ".join(told.split()),
        )
        for option, told in rows
        if option != "-h, --help"
    ]
    return "\n".join(
        ["| option | meaning |", "|---|---|"]
        + [f"| `{option}` | {told.replace('|', chr(92) + '|')} |" for option, told in kept]
    )


def rewritten(text: str) -> str:
    """Put the tables of the program into the page."""
    for command in documented():
        place = re.compile(
            rf"(?<=\n## `{re.escape(command)}`\n)(.*?\n)\| option\b.*?(?=\n\n|\n*\Z)", re.DOTALL
        )
        if not place.search(text):
            raise ValueError(f"{PAGE} has no section `{command}` with a table")
        text = place.sub(lambda m, c=command: m[1] + table(c), text, count=1)
    return text


def test_the_page_has_every_option() -> None:
    text = PAGE.read_text("utf-8")
    assert rewritten(text) == text, "`python tests/unit/test_docs_commands.py` writes it anew"
    assert re.findall(r"^## `(.*)`$", text, re.MULTILINE) == documented()


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
