"""Moves a host's own web Caddy from :443 to another port for the edge, and back."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Generator
from functools import partial
from typing import Protocol

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.edge import adapted, web, webjson
from tailwart.edge.caddy_config import WEB_HTTPS_PORT
from tailwart.edge.plan import JMAP_SITE, NOTHING, WEB, WEB_PATH, WEB_RELOAD, EdgePlan
from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.hosts.report import HostReport
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command
from tailwart.runner import Completed, Runner

_PRIVATE = HostDirectory(WEB, "0700")
_ORIGINAL = f"{WEB}/Caddyfile.original"


@operation()
def share_https(plan: EdgePlan) -> Generator[FunctionCommand, None, None]:
    """The web Caddy listens on 8443 instead of 443."""
    host = ctx_host.get()
    reasons = _unshared(plan, observe(host, plan.project.watch))
    if not reasons:
        host.noop(f"{plan.caddyfile} leaves :443 to the edge")
        return
    announce(host, "web: " + "; ".join(reasons))
    yield command(host, partial(move_aside, plan=plan), "move the web Caddy to 8443")


@operation()
def give_https_back(plan: EdgePlan) -> Generator[FunctionCommand, None, None]:
    """A Caddyfile that was edited for an edge, and that the settings no longer name, is as it was before."""
    host = ctx_host.get()
    path = observe(host, plan.project.watch).probes.get("web-path", NOTHING).output.decode(errors="replace").strip()
    if not path or path == plan.caddyfile:
        host.noop("no Caddyfile is to be given back")
        return
    yield command(host, partial(put_back, path=path), f"give :443 back to {path}")


def move_aside(run: Runner, plan: EdgePlan) -> None:
    """Edit the Caddyfile, let the host's own Caddy check the result, put it in place, reload. Raises `TailwartError`;
    the Caddyfile is then as it was before, and still active."""
    file = _Caddyfile.read(run, plan.caddyfile)
    editor = _editor(file.path)
    moved = editor.edit(file.text)
    before, after = _adapt(run, file, editor.restore(file.text)), _adapt(run, file, moved)
    adapted.check(file.path, before, after)
    _validate(run, file, moved)
    notes = [HostFile(WEB_PATH, f"{plan.caddyfile}\n", "0600"), HostFile(WEB_RELOAD, "", "0600")]
    if not editor.edited(file.text):
        notes.append(HostFile(_ORIGINAL, file.data, "0600", secret=True))
    hostfiles.write(run, notes, [_PRIVATE])
    file.replace(run, moved)
    # The edge takes :443 only when the sites answer behind it.
    _reload(run, file, answers=WEB_HTTPS_PORT)
    run(f"rm -f {WEB_RELOAD} {JMAP_SITE}")


def put_back(run: Runner, path: str) -> None:
    """Take the edit out of the Caddyfile at ``path`` and reload; what the operator changed since stays."""
    file = _Caddyfile.read(run, path)
    hostfiles.write(run, [HostFile(WEB_RELOAD, "", "0600")], [_PRIVATE])
    file.replace(run, _editor(file.path).restore(file.text))
    _reload(run, file)
    run(f"rm -f {WEB_RELOAD} {JMAP_SITE} {WEB_PATH}")


class _Editor(Protocol):
    """What edits a configuration of the web Caddy and reverts that."""

    def edit(self, text: str, /) -> str: ...
    def restore(self, text: str, /) -> str: ...
    def edited(self, text: str, /) -> bool: ...


def _editor(path: str) -> _Editor:
    return webjson if path.endswith(".json") else web


def _options(path: str) -> str:
    return "--config" if path.endswith(".json") else "--adapter caddyfile --config"


class _Caddyfile:
    """A configuration on the host: its real path, owner and mode, and its text (bytes that are not UTF-8 survive)."""

    def __init__(self, path: str, mode: str, owner: str, data: bytes) -> None:
        self.path, self.mode, self.owner, self.data = path, mode, owner, data
        self.text = data.decode(errors="surrogateescape")

    @classmethod
    def read(cls, run: Runner, path: str) -> _Caddyfile:
        name = shlex.quote(path)
        result = run(
            f"command -v caddy >/dev/null || exit 9; real=$(readlink -f {name}) && stat -c '%a %U:%G' \"$real\" && "
            'echo "$real" && base64 -w0 "$real"'
        )
        lines = result.stdout.splitlines()
        if not result.ok or len(lines) < 2:
            raise TailwartError(
                f"the web Caddy of this edge cannot be edited: {path}",
                seen="the file, or the command `caddy`, is not on the host",
                expected="a Caddy installed on the host (not in a container), with that Caddyfile",
                remedy="correct the edge's …_WEB setting, or leave it empty for a mail-only edge",
            )
        mode, owner = lines[0].split(" ", 1)
        return cls(lines[1], mode.zfill(4), owner, base64.b64decode(lines[2] if len(lines) > 2 else ""))

    def beside(self, text: str) -> HostFile:
        """``text`` as a hidden file in the same directory: relative imports still work, and globs do not match it."""
        directory = self.path.rpartition("/")[0]
        ending = ".json" if self.path.endswith(".json") else ""
        return HostFile(f"{directory}/.tailwart-candidate{ending}", text.encode(errors="surrogateescape"), "0600")

    def replace(self, run: Runner, text: str) -> None:
        content = text.encode(errors="surrogateescape")
        hostfiles.write(run, [HostFile(self.path, content, self.mode, owner=self.owner)])


def _unshared(plan: EdgePlan, report: HostReport) -> list[str]:
    probe = report.probes.get("caddyfile", NOTHING)
    text = probe.output.decode(errors="surrogateescape")
    reasons = []
    try:
        if probe.exit_code != 0 or _editor(plan.caddyfile).edit(text) != text:
            reasons.append(f"{plan.caddyfile} moves its HTTPS port to 8443")
    except TailwartError:  # the operation fails with it when it executes
        reasons.append(f"{plan.caddyfile} cannot be edited as it is")
    if WEB_RELOAD in report.paths:
        reasons.append("the last edit was not loaded")
    if JMAP_SITE in report.paths:
        reasons.append(f"{JMAP_SITE} of an earlier release is removed")
    return reasons


def _adapt(run: Runner, file: _Caddyfile, text: str) -> str:
    if file.path.endswith(".json"):
        result = Completed(True, text, "not JSON")
    else:
        result = _with_candidate(run, file, text, f"caddy adapt {_options(file.path)}")
    if not result.ok:
        raise _refused(file, result)
    try:
        json.loads(result.stdout)
    except ValueError:
        raise _refused(file, result) from None
    return result.stdout


def _validate(run: Runner, file: _Caddyfile, text: str) -> None:
    # Provisioning may write certificates and locks: into a directory of its own, not among those of the service.
    validate = f"XDG_DATA_HOME=$state XDG_CONFIG_HOME=$state caddy validate {_options(file.path)}"
    result = _with_candidate(run, file, text, f'state=$(mktemp -d); trap "rm -rf $state" EXIT; {validate}')
    if not result.ok:
        raise _refused(file, result)


def _with_candidate(run: Runner, file: _Caddyfile, text: str, tool: str) -> Completed:
    candidate = file.beside(text)
    hostfiles.write(run, [candidate])
    try:
        return run(f"{tool} {candidate.path}", timeout=120)
    finally:
        run(f"rm -f {candidate.path}")


def _refused(file: _Caddyfile, result: Completed) -> TailwartError:
    return TailwartError(
        f"the host's Caddy does not accept {file.path}, with or without the edge's change",
        seen=(result.stderr.strip().splitlines() or ["no message"])[-1][-800:],
        expected="a Caddyfile that `caddy validate` accepts as root; it was left as it is and is still active",
        remedy=f"run `caddy validate --config {file.path}` on the host and fix the error that it reports",
    )


def _reload(run: Runner, file: _Caddyfile, answers: int = 0) -> None:
    result = _load(run, file)
    if result.ok and answers:
        knock = f"until exec 3<>/dev/tcp/127.0.0.1/{answers}; do sleep 0.3; done"
        listening = run(f"timeout 20 bash -c {shlex.quote(knock)} 2>/dev/null", timeout=60)
        if not listening.ok:
            result = Completed(False, f"nothing answers on 127.0.0.1:{answers} 20 s after the reload", "")
    if result.ok:
        return
    hostfiles.write(run, [HostFile(file.path, file.data, file.mode, owner=file.owner)])
    _load(run, file)
    run(f"rm -f {WEB_RELOAD}")
    raise TailwartError(
        f"the host's Caddy did not load the changed {file.path}; the file was put back",
        seen=(result.stdout + result.stderr).strip()[-800:],
        expected="`systemctl reload caddy`, or `caddy reload` where systemd does not run it, to work with that file",
        remedy="look at `journalctl -u caddy -n 20` on the host, then run the deploy again",
    )


def _load(run: Runner, file: _Caddyfile) -> Completed:
    return run(
        "if systemctl is-active --quiet caddy; then systemctl reload caddy; "
        f"else caddy reload {_options(file.path)} {shlex.quote(file.path)}; fi",
        timeout=120,
    )
