"""The way back to a deploy: which one, its settings in a folder of their own for the plan, and then in their place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tailwart.environment import lock
from tailwart.environment.editing import edited, write
from tailwart.errors import TailwartError
from tailwart.history import inputs
from tailwart.history.inputs import GROUP_DATA, Inputs
from tailwart.history.record import Deploy
from tailwart.history.store import Store

KEPT = Path("_backup") / "rollback"


def target(store: Store, which: str | None) -> Deploy:
    """The deploy to go back to: that of a number or revision, else the last good one with other settings or code than
    the newest. Raises `TailwartError` when there is none."""
    if which is not None:
        return store.find(which)
    known = store.all()
    if known:
        newest = known[-1]
        made = (store.inputs(newest), newest.code)
        for deploy in reversed(known[:-1]):
            if deploy.good and (not newest.good or (store.inputs(deploy), deploy.code) != made):
                return deploy
    raise TailwartError(
        "there is no earlier good deploy to go back to",
        seen=f"{len(known)} deploys in {store.directory}",
        expected="a deploy that ended well, before the newest one",
        remedy="`tailwart history` lists those of this machine; a rollback works where the deploys were made",
    )


def replaced_since(store: Store, deploy: Deploy) -> list[str]:
    """The values of Stalwart's settings that later deploys have replaced, the oldest first."""
    later = (one for one in store.all() if one.number > deploy.number)
    return [value for one in later for changes in one.hosts.values() for value in changes.before]


@contextmanager
def workspace(path: Path, then: Inputs) -> Iterator[Path]:
    """A folder (0700) that is this checkout with the settings of ``then``; `.env` is in it. Removed at the end."""
    now = inputs.read(path)
    with tempfile.TemporaryDirectory(prefix="tailwart-rollback-") as name:
        folder = Path(name)
        for entry in Path.cwd().iterdir():
            if entry.name not in (GROUP_DATA.name, lock.NAME, ".env"):
                (folder / entry.name).symlink_to(entry)
        shutil.copytree(GROUP_DATA, folder / GROUP_DATA.name) if GROUP_DATA.is_dir() else None
        _put(then, folder / ".env", path.read_text(encoding="utf-8"), now, folder / GROUP_DATA.name)
        yield folder


def put_back(path: Path, then: Inputs) -> Path:
    """Put the settings of ``then`` in the place of those of now, which are kept; returns where."""
    now = inputs.read(path)
    kept = KEPT / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    kept.mkdir(mode=0o700, parents=True)
    for folder in (KEPT.parent, KEPT, kept):
        folder.chmod(0o700)
    for source in (path, *inputs.paths(path).values()):
        (kept / source.name).touch(mode=0o600)
        shutil.copyfile(source, kept / source.name)
    _put(then, path, path.read_text(encoding="utf-8"), now, GROUP_DATA)
    return kept


def _put(then: Inputs, path: Path, text: str, now: Inputs, group_data: Path) -> None:
    write(path, edited(text, inputs.changes(now, then)))
    withheld = {*then.withheld, *now.withheld}
    places = {lock.NAME: lock.beside(path)}
    places |= {name: group_data / name.rpartition("/")[2] for name in (*then.files, *now.files) if "/" in name}
    for name, place in places.items():
        if name in withheld:
            continue
        if name in then.files:
            if not place.is_file() or place.read_text(encoding="utf-8") != then.files[name]:
                place.write_text(then.files[name], encoding="utf-8")
        elif name in now.files:
            place.unlink(missing_ok=True)
