"""Image registries over the HTTP API of the OCI distribution specification: digests and tags."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from tailwart.errors import TailwartError
from tailwart.supply.http import get, succeed

_HUB = "registry-1.docker.io"
# An index before one platform's manifest: the digest of an index pins every platform.
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_PAGES = 50


@dataclass(frozen=True, slots=True)
class Image:
    """A reference, taken apart: where it is, what it is called there, and its tag.

    >>> Image.parse("debian:trixie-slim")
    Image(registry='registry-1.docker.io', repository='library/debian', tag='trixie-slim')
    """

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, reference: str) -> Image:
        """From a reference as Docker takes it, with a tag and perhaps a digest."""
        name, _, tag = reference.partition("@")[0].rpartition(":")
        first, slash, rest = name.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return cls(_HUB if first == "docker.io" else first, rest, tag)
        return cls(_HUB, name if slash else f"library/{name}", tag)


class Registry:
    """A client for all registries. ``base_url`` stands in for every one of them: a mirror, or a lab."""

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url
        self._session = requests.Session()
        self._tokens: dict[str, str] = {}

    def digest(self, reference: str) -> str:
        """The digest of what the tag names now, computed from the manifest itself; raises `TailwartError`."""
        image = Image.parse(reference)
        response = self._get(image, f"manifests/{image.tag}")
        found = "sha256:" + hashlib.sha256(response.content).hexdigest()
        announced = response.headers.get("Docker-Content-Digest", found)
        if announced != found:
            raise TailwartError(
                f"the registry's answer for {reference} is not what it announces",
                seen=found,
                expected=announced,
                remedy="check proxies between this machine and the registry",
            )
        return found

    def tags(self, reference: str) -> list[str]:
        """All tags of the image's repository; raises `TailwartError`."""
        image = Image.parse(reference)
        found: list[str] = []
        path: str | None = "tags/list?n=1000"
        for _ in range(_PAGES):
            if path is None:
                break
            response = self._get(image, path)
            try:
                found += [str(tag) for tag in response.json().get("tags") or []]
            except (ValueError, AttributeError):
                raise TailwartError(f"the registry's list of tags for {reference} is not JSON") from None
            following = response.links.get("next", {}).get("url")
            path = following and urlsplit(following).query and f"tags/list?{urlsplit(following).query}"
        return found

    def _get(self, image: Image, path: str) -> requests.Response:
        base = self._base_url or f"https://{image.registry}"
        url = urljoin(f"{base}/", f"v2/{image.repository}/{path}")
        response = get(self._session, url, self._headers(image))
        if response.status_code == 401 and (challenge := _challenge(response)):
            self._tokens[image.repository] = self._token(challenge)
            response = get(self._session, url, self._headers(image))
        remedy = "check the name and the tag in .env; REGISTRY_URL names a mirror where one is needed"
        return succeed(response, f"asking the registry for {image.repository}:{image.tag}", remedy)

    def _headers(self, image: Image) -> dict[str, str]:
        token = self._tokens.get(image.repository)
        return {"Accept": _MANIFESTS, **({"Authorization": f"Bearer {token}"} if token else {})}

    def _token(self, challenge: dict[str, str]) -> str:
        query = urlencode({key: value for key, value in challenge.items() if key in ("service", "scope")})
        response = get(self._session, f"{challenge['realm']}?{query}")
        succeed(response, "asking the registry for a token", "try again later; the registry may limit anonymous use")
        document = response.json()
        return str(document.get("token") or document.get("access_token") or "")


def _challenge(response: requests.Response) -> dict[str, str]:
    """What a Bearer challenge asks for (RFC 6750 §3); empty for none that leads to TLS."""
    scheme, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
    found = dict(re.findall(r'(\w+)="([^"]*)"', rest)) if scheme.lower() == "bearer" else {}
    realm = urlsplit(found.get("realm", ""))
    return found if realm.scheme == "https" or realm.hostname in ("127.0.0.1", "::1", "localhost") else {}
