"""Where a value of `stalwart_objects` stands in the file: for messages, by parsing the file and never running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one name's value. `duplicates`: keys that stand twice in one mapping, where the second one wins."""

    found: Mapping[Path, int] = field(default_factory=dict)
    duplicates: tuple[tuple[Path, int], ...] = ()

    def of(self, path: Sequence[str]) -> int | None:
        """The line of a value, or of what holds it; None when the file does not say."""
        for length in range(len(path), -1, -1):
            if (line := self.found.get(tuple(path[:length]))) is not None:
                return line
        return None


def lines(text: str, name: str) -> Lines:
    """The lines of every value in the mapping assigned to `name`; empty for a file that cannot be parsed.

    Names that are assigned in the same file are followed, `name["A"] = …` and `{**OTHER}` too. What is computed has the
    line of the expression.
    """
    try:
        module = ast.parse(text)
    except SyntaxError:
        return Lines()
    reader = _Reader({})
    places: list[tuple[Path, int]] = []
    for path, value in _assignments(module):
        if path[0] == name:
            places += reader.read(path[1:], value, frozenset({name}))
        elif len(path) == 1:
            reader.names[path[0]] = value
    found: dict[Path, int] = {}
    for path, line in places:
        found[path] = line
    return Lines(found, tuple(reader.duplicates))


def _assignments(module: ast.Module) -> Iterator[tuple[Path, ast.expr]]:
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets: list[ast.expr] = [node.target]
            value = node.value
        elif isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AugAssign):
            targets, value = [node.target], node.value
        else:
            continue
        for target in targets:
            if (path := _target(target)) is not None:
                yield path, value


def _target(node: ast.expr) -> Path | None:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        holder = _target(node.value)
        return None if holder is None else (*holder, str(node.slice.value))
    return None


class _Reader:
    def __init__(self, names: dict[str, ast.expr]) -> None:
        self.names = names
        self.duplicates: list[tuple[Path, int]] = []

    def read(self, path: Path, node: ast.expr, seen: frozenset[str]) -> Iterator[tuple[Path, int]]:
        """The places inside a value; `seen` are the names that are being followed, so that a circle ends."""
        yield path, node.lineno
        if isinstance(node, ast.Name) and node.id in self.names and node.id not in seen:
            yield from self.read(path, self.names[node.id], seen | {node.id})
        elif isinstance(node, ast.BinOp):
            yield from self.read(path, node.left, seen)
            yield from self.read(path, node.right, seen)
        elif isinstance(node, ast.Dict):
            yield from self._mapping(path, node, seen)
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            for index, item in enumerate(node.elts):
                yield from self.read((*path, str(index)), item, seen)

    def _mapping(self, path: Path, node: ast.Dict, seen: frozenset[str]) -> Iterator[tuple[Path, int]]:
        given: set[str] = set()
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                yield from self.read(path, value, seen)
            elif isinstance(key, ast.Constant):
                name = str(key.value)
                if name in given:
                    self.duplicates.append(((*path, name), key.lineno))
                given.add(name)
                yield (*path, name), key.lineno
                # A value that begins in a line of its own is still looked for at its key.
                yield from list(self.read((*path, name), value, seen))[1:]
