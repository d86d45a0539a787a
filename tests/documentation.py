"""The commands and file names of README.md and docs/*.md, as the tests of them read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_MARKER = re.compile(r"<!-- not run: `(?P<command>[^`]+)`: (?P<reason>.+) -->")
_FENCE = re.compile(r"^```(?P<language>\w*)$")
# A word of code that names a file or folder of the project: it has a folder in it, or a suffix that only files have.
_PATH = re.compile(r"[\w.@-]+(?:/[\w.@-]+)+/?|[\w-]+\.(?:md|py|toml|yml|j2)")


@dataclass(frozen=True)
class Command:
    """One line of a console block. ``reason`` says why the tests do not run it; empty for those that they run."""

    file: Path
    line: int
    text: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} {self.text}"


def commands(file: Path) -> list[Command]:
    """Every command of the file's console blocks, in order, without its comment.

    A line `<!-- not run: `COMMAND`: REASON -->` before a block marks one that cannot run on the lab. Raises ValueError
    for a marker that names no command of the next block.
    """
    found: list[Command] = []
    reasons: dict[str, str] = {}
    language: str | None = None
    for number, line in enumerate(file.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language = fence["language"]
        elif line == "```":
            if language == "console" and reasons:
                raise ValueError(f"{file.name}:{number} has no such command: {', '.join(reasons)}")
            language = None
        elif language == "console":
            text = re.sub(r"\s+#\s.*|^#.*", "", line).strip()
            if text:
                found.append(Command(file, number, text, reasons.pop(text, "")))
        elif language is None and (marker := _MARKER.fullmatch(line)):
            reasons[marker["command"]] = marker["reason"]
    if reasons:
        raise ValueError(f"{file.name} has no such command: {', '.join(reasons)}")
    return found


@dataclass(frozen=True)
class Recipe:
    """One heading of docs/recipes.md: the lines to paste, what the plan shows, and the lines that take them back."""

    heading: str
    paste: str
    back: str
    shown: str


def recipes(file: Path = ROOT / "docs" / "recipes.md") -> dict[str, Recipe]:
    """By heading; a part without lines to paste is none."""
    found: dict[str, Recipe] = {}
    for part in re.split(r"(?m)^###? ", file.read_text())[1:]:
        heading, _, text = part.partition("\n")
        blocks = re.findall(r"(?ms)^```(python|text)\n(.*?)^```$", text)
        python = [block for language, block in blocks if language == "python"]
        shown = next((block for language, block in blocks if language == "text"), "")
        if python:
            found[heading] = Recipe(heading, python[0], python[-1], shown)
    return found


def inline(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"(?ms)^```.*?^```$", "", text))


def paths(text: str) -> set[str]:
    """Names of files and folders of the project: those in backticks, and the targets of links."""
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    code = [word for word in inline(text) if _PATH.fullmatch(word)]
    return {*targets, *code}
