"""The lab's real programs, compiled once into the cache: Go modules with committed sums, and Garage from its crate."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import paths
from lab.console import step
from lab.programs import toolchains
from tailwart import releases
from tailwart.errors import TailwartError

TAILSCALE_VERSION = "1.102.5"
HEADSCALE_VERSION = "0.29.3"
GARAGE_VERSION = "2.5.0"

_MODULES = paths.PROJECT / "lab" / "programs"
# Without inlining: a quarter less to compile, smaller, and fast enough for one mailbox. The same flags for every
# program, so that packages which several of them share are compiled once.
_GO_FLAGS = ("-trimpath", "-gcflags=all=-l")
# Go compiles one module on all cores but links on one: two at a time keep the cores busy without filling memory.
_PARALLEL = 2


@dataclass(frozen=True)
class Program:
    """One build: what it is called, where its source is, and which binaries come out of it.

    ``packages`` are Go packages, or features of a crate; ``ldflags`` the linker's, or what else decides the build.
    """

    name: str
    version: str
    source: Path
    packages: tuple[str, ...]
    binaries: tuple[str, ...]
    ldflags: str = ""

    @property
    def key(self) -> str:
        """Version and a hash of everything that decides the result; one cache directory for each."""
        digest = hashlib.sha256(repr((self.version, self.packages, self.ldflags)).encode())
        sources = _sources(self.source)
        if sources:
            digest.update(repr(_GO_FLAGS).encode())
        for file in sources:
            digest.update(str(file.relative_to(self.source)).encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"

    @property
    def directory(self) -> Path:
        return paths.cache() / "programs" / self.key

    @property
    def built(self) -> bool:
        return all((self.directory / binary).is_file() for binary in self.binaries)


def _sources(directory: Path) -> list[Path]:
    """Files that go into a build; tests and data beside them do not, so that they rebuild nothing."""
    if not directory.is_dir():
        return []  # Garage: the crate and its version say everything
    unused = {".md", ""}
    files = (file for file in directory.rglob("*") if file.is_file() and file.suffix not in unused)
    return sorted(file for file in files if not file.name.endswith("_test.go") and "testdata" not in file.parts)


def _stamp(package: str, version: str) -> str:
    return f"-X {package}.shortStamp={version} -X {package}.longStamp={version}"


CADDY = Program("caddy", "2.11.9", _MODULES / "caddy", (".",), ("caddy",))
HEADSCALE = Program(
    "headscale",
    HEADSCALE_VERSION,
    _MODULES / "headscale",
    ("github.com/juanfont/headscale/cmd/headscale",),
    ("headscale",),
    f"-X github.com/juanfont/headscale/hscontrol/types.Version=v{HEADSCALE_VERSION}",
)
TAILSCALE = Program(
    "tailscale",
    TAILSCALE_VERSION,
    _MODULES / "tailscale",
    ("tailscale.com/cmd/tailscaled", "tailscale.com/cmd/tailscale", "tailscale.com/cmd/containerboot"),
    ("tailscaled", "tailscale", "containerboot"),
    _stamp("tailscale.com/version", TAILSCALE_VERSION),
)
PEBBLE = Program("pebble", "2.10.1", _MODULES / "pebble", ("github.com/letsencrypt/pebble/v2/cmd/pebble",), ("pebble",))
# Upstream's formatter of policies: only tests run it.
HUJSON = Program("hujson", "2026-03-02", _MODULES / "hujson", (".",), ("hujsonfmt",))
# What the lab uses of Garage, compiled without optimisation: a third of the time, and fast enough for one mailbox.
GARAGE = Program("garage", GARAGE_VERSION, _MODULES / "garage", ("bundled-libs", "sqlite"), ("garage",), "opt-level=0")
STANDIN = Program("stalwart-standin", releases.SUPPORTED.name, paths.PROJECT / "lab" / "standin", (".",), ("stalwart",))

# The longest first, so that no long one starts last.
GO_PROGRAMS = (TAILSCALE, HEADSCALE, CADDY, PEBBLE)
_ALL = (GARAGE, *GO_PROGRAMS, STANDIN, HUJSON)


def binary(name: str) -> Path:
    """Path of a built binary in the cache."""
    return owner(name).directory / name


def owner(name: str) -> Program:
    """The program a binary comes from. Raises TailwartError for a name that none of them builds."""
    if program := built_by(name):
        return program
    raise TailwartError(f"no program of the lab builds {name!r}")


def built_by(name: str) -> Program | None:
    """The program that builds this binary; None for a binary that the lab does not build."""
    return next((program for program in _ALL if name in program.binaries), None)


def ensure(programs: Iterable[Program]) -> None:
    """Build Go programs that are not in the cache, two at a time. Raises TailwartError with the compiler's output."""
    absent = [program for program in programs if not program.built]
    if not absent:
        return
    toolchains.go()
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for _ in pool.map(lambda program: build(program, _build_go), absent):
            pass


def build(program: Program, compile_into: Callable[[Program, Path, Path], None]) -> None:
    """Compile a program unless it is in the cache, or wait for the process that is compiling it already.

    ``compile_into`` takes the program, the directory for its binaries, and the file for the compiler's output.
    """
    target = program.directory
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(paths.cache() / "locks" / program.name):
        if program.built:
            return
        log = paths.ensure_private(paths.logs()) / f"build-{program.name}.log"
        with step(f"compiling {program.name} {program.version}"):
            temporary = Path(tempfile.mkdtemp(prefix=f".{program.name}-", dir=target.parent))
            try:
                compile_into(program, temporary, log)
                temporary.chmod(0o755)
                # A directory appears whole or not at all; one that is there and incomplete is from another age.
                shutil.rmtree(target, ignore_errors=True)
                temporary.rename(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Tests and `lab up` side by side must not compile the same program twice. The kernel frees a killed one's lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build_go(program: Program, into: Path, log: Path) -> None:
    command = [toolchains.go(), "build", *_GO_FLAGS, "-ldflags", f"-s -w {program.ldflags}".strip()]
    single = len(program.packages) == 1
    destination = str(into / program.binaries[0]) if single else f"{into}{os.sep}"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
    run([*command, "-o", destination, *program.packages], program, log, environment, program.source)


def run(command: list[str], program: Program, log: Path, environment: dict[str, str], directory: Path) -> None:
    """Run a compiler with its output in ``log``. Raises TailwartError with its last words."""
    with log.open("wb") as stream:
        result = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if result.returncode != 0:
        words = log.read_text(errors="replace").strip().splitlines()[-8:]
        raise TailwartError(
            f"compiling {program.name} {program.version} failed",
            seen="\n".join(words),
            remedy=f"the whole output is in {log}",
        )
