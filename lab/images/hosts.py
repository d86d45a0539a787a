"""The images of the hosts, parents first, independent ones side by side."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from lab.engine import Docker
from lab.images import HOST_IMAGES, build, context


def ensure(docker: Docker, base: str) -> dict[str, str]:
    """Image name → reference, for every kind of host. Builds what changed, at most three at a time."""
    built = {"base": base}
    waiting = dict(HOST_IMAGES)
    running: dict[Future[str], str] = {}
    with ThreadPoolExecutor(3) as pool:
        while waiting or running:
            for name in [name for name, spec in waiting.items() if spec.parent in built]:
                spec = waiting.pop(name)
                future = pool.submit(build.ensure, docker, name, context.of(spec), built[spec.parent])
                running[future] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                built[running.pop(future)] = future.result()
    return built
