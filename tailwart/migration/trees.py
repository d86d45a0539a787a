"""What two folders hold, and what makes the second equal to the first. Pure, but for the script that lists one.

>>> one = parse("d\\t700\\t0:0\\t-\\ta\\0f\\t600\\t0:0\\t12\\ta/b\\0")
>>> difference(one, {}).send
('a', 'a/b')
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

# A line a file or folder, ended by a zero byte: kind, mode, owner, then size and time of a file or the aim of a link,
# its path. Names cannot hold a zero byte, and the path comes last, because it may hold everything else.
_LIST = (
    r"find . -mindepth 1 {skipped} \( -type d -printf '%y\t%m\t%U:%G\t-\t%P\0' "
    r"-o -type l -printf '%y\t-\t%U:%G\t%l\t%P\0' -o -type f -printf '%y\t%m\t%U:%G\t%s {time}\t%P\0' \)"
)
_HASH = r"find . -mindepth 1 {skipped} -type f -print0 | xargs -0r sha256sum --zero"
_HASHES = "-- hashes --"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link: `content` is the SHA-256 of a file, or its size and time where nobody has hashed it."""

    kind: str
    mode: str
    owner: str
    content: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths that are to be sent, folders before what is in them; paths that are to go, in the order that works."""

    send: tuple[str, ...]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.send or self.remove)


def listing(root: str, skip: Collection[str] = (), *, hashed: bool) -> str:
    """A shell command that prints what is below a folder; nothing below one that is not there.

    ``skip`` are names directly below it. Without ``hashed``, files are told apart by size and time.
    """
    skipped = " ".join(f"-path ./{shlex.quote(name)} -prune -o" for name in skip)
    parts = [_LIST.format(skipped=skipped, time="" if hashed else "%T@")]
    if hashed:
        parts += [f"printf '%s\\0' '{_HASHES}'", _HASH.format(skipped=skipped)]
    return f"[ ! -d {shlex.quote(root)} ] || {{ cd {shlex.quote(root)} && {' && '.join(parts)}; }}"


def packing(root: str, *, vanishing: bool = False) -> str:
    """A shell command that packs what standard input names, ended by zero bytes each; folders without their content.

    With ``vanishing``, files may go while it reads.
    """
    lenient = "--ignore-failed-read --warning=none" if vanishing else ""
    # POSIX: times to the nanosecond, by which an unchanged file is known again.
    return f"tar -C {shlex.quote(root)} --format=posix {lenient} --no-recursion --null --verbatim-files-from -T - -cf -"


def unpacking(root: str) -> str:
    """A shell command that unpacks standard input, with owner, mode and time."""
    return f"tar -C {shlex.quote(root)} --numeric-owner -xpf -"


def parse(text: str) -> dict[str, Entry]:
    """Path → what is there, of the output of `listing`."""
    listed, _, hashes = text.partition(f"{_HASHES}\0")
    digests = dict(_digest(line) for line in hashes.split("\0") if line)
    found = {}
    for line in filter(None, listed.split("\0")):
        kind, mode, owner, content, path = line.split("\t", 4)
        found[path] = Entry(kind, mode, owner, digests.get(path, content) if kind == "f" else content)
    return found


def _digest(line: str) -> tuple[str, str]:
    digest, path = line[:64], line[66:]
    return path.removeprefix("./"), digest


def difference(source: Mapping[str, Entry], target: Mapping[str, Entry]) -> Difference:
    """What makes the target hold what the source holds, and nothing else."""
    send = sorted(path for path, entry in source.items() if target.get(path) != entry)
    # What changed its kind has to go before the other can come.
    gone = [path for path, entry in target.items() if path not in source or source[path].kind != entry.kind]
    return Difference(tuple(send), tuple(sorted(gone, reverse=True)))


def unequal(source: Mapping[str, Entry], target: Mapping[str, Entry]) -> list[str]:
    """The paths that are not the same on both sides."""
    return sorted(path for path in {*source, *target} if source.get(path) != target.get(path))


def octets(sizes: Mapping[str, Entry], paths: Collection[str]) -> int:
    """The bytes of these files, of a listing without hashes."""
    return sum(int(sizes[path].content.split()[0]) for path in paths if path in sizes and sizes[path].kind == "f")
