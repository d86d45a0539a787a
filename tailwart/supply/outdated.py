"""What of an installation has newer versions: images, Caddy, caddy-l4, and the base image behind a tag that moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from tailwart.edge.image import L4_MODULE, ImageInputs
from tailwart.environment import Environment
from tailwart.environment.lock import Lock
from tailwart.errors import TailwartError
from tailwart.supply.http import get, succeed
from tailwart.supply.registry import Image, Registry
from tailwart.supply.versions import Advisory, concerning, newest

# Program → the repository whose advisories concern it.
_ADVISORIES = {"stalwart": "stalwartlabs/stalwart", "tailscale": "tailscale/tailscale", "caddy": "caddyserver/caddy"}
_L4_REPOSITORY = L4_MODULE.removeprefix("github.com/")


@dataclass(frozen=True, slots=True)
class Component:
    """One program: the version in use, a newer one if there is one, advisories, and how to change it.

    ``problem`` says why something is not known.
    """

    name: str
    current: str
    newer: str = ""
    setting: str = ""
    advisories: tuple[Advisory, ...] = ()
    problem: str = ""


class Sources:
    """The public services that know versions; each base URL is a setting."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._registry = Registry(environment.registry_url or "")
        self._session = requests.Session()

    def digest(self, image: str) -> str:
        """What a tag names now."""
        return self._registry.digest(image)

    def tags(self, image: str) -> list[str]:
        """The tags of an image's repository."""
        return self._registry.tags(image)

    def releases(self, repository: str) -> list[str]:
        """The newest tags of a repository on GitHub."""
        url = f"{self._environment.github_api_url}/repos/{repository}/tags?per_page=100"
        return [str(one["name"]) for one in self._listed(url, f"asking for versions of {repository}") if "name" in one]

    def advisories(self, repository: str) -> list[dict[str, Any]]:
        """The published security advisories of a repository on GitHub."""
        url = f"{self._environment.github_api_url}/repos/{repository}/security-advisories?state=published&per_page=100"
        return self._listed(url, f"asking for advisories of {repository}")

    def _listed(self, url: str, what: str) -> list[dict[str, Any]]:
        answer = succeed(
            get(self._session, url, {"Accept": "application/vnd.github+json"}), what, "check GITHUB_API_URL"
        )
        try:
            found = answer.json()
        except ValueError as error:
            raise TailwartError(f"{what} got no JSON", seen=answer.text[:80], remedy="check GITHUB_API_URL") from error
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def components(environment: Environment, lock: Lock, sources: Sources) -> list[Component]:
    """Every program of the installation; those with security fixes first. What fails is a problem of its line alone."""
    found = [
        _image(environment.stalwart_image, "stalwart", "STALWART_IMAGE", sources, same_minor=True),
        _image(environment.tailscale_image, "tailscale", "TAILSCALE_IMAGE", sources),
        *_garage(environment, sources),
        _base(environment.edge_base_image, lock, sources),
        *_caddy(environment, lock, sources),
    ]
    return sorted(found, key=lambda one: (not one.advisories, not one.newer))


def _image(reference: str, program: str, setting: str, sources: Sources, *, same_minor: bool = False) -> Component:
    tag = Image.parse(reference).tag
    return _looked_up(
        program, tag, setting, lambda: newest(tag, sources.tags(reference), same_minor=same_minor), sources
    )


def _garage(environment: Environment, sources: Sources) -> Iterator[Component]:
    if "garage" in environment.backends_install:
        yield _image(environment.garage_image, "garage", "GARAGE_IMAGE", sources)


def _base(reference: str, lock: Lock, sources: Sources) -> Component:
    name, _, digest = reference.partition("@")
    locked = digest or lock.images.get(name, "")
    if not locked:
        return Component(name, "not locked", setting="tailwart images lock")
    try:
        now = sources.digest(name)
    except TailwartError as problem:
        return Component(name, locked[:19], problem=problem.what)
    return Component(name, locked[:19], "" if now == locked else now[:19], "tailwart images lock")


def _caddy(environment: Environment, lock: Lock, sources: Sources) -> Iterator[Component]:
    version = next((one.version for one in lock.caddy.values() if one.version), "")
    if version:
        yield _looked_up(
            "caddy",
            version,
            "remove it from images.lock",
            lambda: newest(version, sources.releases(_ADVISORIES["caddy"])),
            sources,
        )
    inputs = ImageInputs("", "", environment.caddy_plugins)
    l4 = inputs.modules[0].partition("@")[2]
    yield _looked_up(
        "caddy-l4", l4, f"CADDY_PLUGINS={L4_MODULE}@…", lambda: newest(l4, sources.releases(_L4_REPOSITORY)), sources
    )


def _looked_up(name: str, current: str, setting: str, look_up: Callable[[], str], sources: Sources) -> Component:
    newer = ""
    advisories: tuple[Advisory, ...] = ()
    problems: list[str] = []
    try:
        newer = look_up()
    except TailwartError as problem:
        problems.append(problem.what)
    if name in _ADVISORIES:
        try:
            advisories = concerning(current, sources.advisories(_ADVISORIES[name]))
        except TailwartError as problem:
            problems.append(problem.what)
    return Component(name, current, newer, setting, advisories, "; ".join(problems))
