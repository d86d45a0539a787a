"""The images of the hosts, parents first, independent ones side by side."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from lab.engine import Docker
from lab.images import HOST_IMAGES, build, context

_bare = threading.Lock()


def bare(docker: Docker, base: str) -> str:
    """The image of a host on which nothing runs yet, built once however many ask at the same time."""
    with _bare:
        return build.ensure(docker, "host", context.of(HOST_IMAGES["host"]), base)


def ensure(docker: Docker, base: str, compiled: Future[None]) -> dict[str, str]:
    """Image name → reference, for every kind of host. Builds what changed, at most three at a time.

    Images that carry programs are built once ``compiled`` is done. Raises what it raises.
    """
    built = {"base": base, "host": bare(docker, base)}
    waiting = {name: spec for name, spec in HOST_IMAGES.items() if name not in built}
    running: dict[Future[str], str] = {}
    with ThreadPoolExecutor(3) as pool:
        while waiting or running:
            for name, spec in list(waiting.items()):
                if spec.parent in built and (compiled.done() or not spec.programs):
                    if spec.programs:
                        compiled.result()
                    del waiting[name]
                    future = pool.submit(build.ensure, docker, name, context.of(spec), built[spec.parent])
                    running[future] = name
            unfinished: list[Future[Any]] = [*running]
            if not compiled.done():
                unfinished.append(compiled)
            wait(unfinished, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future.done()]:
                built[running.pop(future)] = future.result()
    return built
