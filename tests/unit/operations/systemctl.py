"""What `systemctl show` prints, as recorded with systemd 252: in its order, and only what a kind of unit has."""

from __future__ import annotations

from tailwart.hosts.units import Unit


def shown(unit: Unit, starter: dict[str, str] | None = None, service: dict[str, str] | None = None) -> str:
    """The output of the unit's probe on a host where it is up to date, but for the properties given.

    ``starter`` are those of the timer or path unit, ``service`` those of the service.
    """
    blocks = []
    if unit.name != unit.service:
        blocks.append({**_loaded(unit.name), "UnitFileState": "enabled", "ActiveState": "active", **(starter or {})})
    state = {"UnitFileState": "static", "ActiveState": "inactive"}
    if unit.name == unit.service:
        state = {"UnitFileState": "enabled", "ActiveState": "active", "CommandLine": f"{' '.join(unit.command)} "}
    blocks.append({"ExecStart": exec_start(unit), **_loaded(unit.service), **state, **(service or {})})
    return "\n\n".join("\n".join(f"{name}={value}" for name, value in block.items()) for block in blocks) + "\n"


def absent(unit: Unit) -> str:
    """The same on a host without the unit."""
    block = "Id={}\nLoadState=not-found\nActiveState=inactive\nFragmentPath=\nUnitFileState=\nNeedDaemonReload=no\n"
    return "\n".join(block.format(name) for name in unit.names)


def exec_start(unit: Unit, digest: str = "") -> str:
    """The property of that name, of a service that was never started."""
    words = [*unit.command[:-1], digest or unit.command[-1]]
    return (
        f"{{ path=/bin/sh ; argv[]={' '.join(words)} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; "
        "pid=0 ; code=(null) ; status=0/0 }"
    )


def _loaded(name: str) -> dict[str, str]:
    path = f"/etc/systemd/system/{name}"
    return {"Id": name, "LoadState": "loaded", "FragmentPath": path, "NeedDaemonReload": "no"}
