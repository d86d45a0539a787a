"""Bucket, key and grant in a Garage, by its admin API v2: what is there, and the next request. Pure.

API: https://garagehq.deuxfleurs.fr/api/garage-admin-v2.html. A request is a section of a curl configuration, so that
secrets travel on standard input; the token's line is put in on the host.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tailwart.errors import TailwartError

TOKEN_LINE = "@token"  # noqa: S105 - a mark, not a token
SCOPE = "GetClusterStatus,GetBucketInfo,GetKeyInfo,ImportKey,CreateBucket,AllowBucketKey"
"""What a token has to be allowed for a Garage that others run (`garage admin-token create --scope`)."""

_MARK = "--tailwart-status "
_NAME = "tailwart"


@dataclass(frozen=True, slots=True)
class Desired:
    """The bucket, and the key that reads and writes it. ``ours``: an empty node may be given its layout."""

    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON document of one request; status 0 for none."""

    status: int
    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One request, and a description of it without a secret."""

    description: str
    path: str
    body: Mapping[str, Any] = field(repr=False)


def questions(desired: Desired) -> tuple[str, ...]:
    """The paths whose answers, in this order, `plan` reads."""
    return (
        "/v2/GetClusterStatus",
        f"/v2/GetBucketInfo?globalAlias={quote(desired.bucket)}",
        f"/v2/GetKeyInfo?id={quote(desired.access_key)}&showSecretKey=true",
    )


def config(url: str, paths: Sequence[str], body: Mapping[str, Any] | None = None) -> str:
    """A curl configuration: GET each path, or POST ``body`` to the only one."""
    return "\nnext\n".join("\n".join(_section(f"{url.rstrip('/')}{path}", body)) for path in paths) + "\n"


def answers(output: str) -> list[Answer]:
    """The answers in curl's output; fewer than asked for where the API cannot be reached."""
    found = []
    text: list[str] = []
    for line in output.splitlines():
        if not line.startswith(_MARK):
            text.append(line)
            continue
        try:
            document = json.loads("\n".join(text) or "{}")
        except ValueError:
            document = {}
        found.append(Answer(int(line.removeprefix(_MARK) or 0), document if isinstance(document, dict) else {}))
        text = []
    return found


def plan(desired: Desired, found: Sequence[Answer]) -> Change | None:
    """The next change, None when nothing is missing; raises `TailwartError` where none would be safe."""
    cluster, bucket, key = found
    if cluster.status != 200:
        raise _refused(cluster)
    if not cluster.document.get("layoutVersion"):
        return _layout(desired, cluster.document)
    if key.status == 404:
        return Change(
            f"import the key for {desired.bucket}",
            "/v2/ImportKey",
            {"accessKeyId": desired.access_key, "secretAccessKey": desired.secret_key, "name": _NAME},
        )
    if key.status != 200:
        raise _refused(key)
    if key.document.get("secretAccessKey") != desired.secret_key:
        raise TailwartError(
            "Garage knows the access key with another secret, and cannot change it",
            seen="GetKeyInfo answers with a secret that is not S3_SECRET_KEY",
            expected="the secret of S3_ACCESS_KEY",
            remedy="put the right S3_SECRET_KEY into .env, or make a new pair: "
            "S3_ACCESS_KEY=GK$(openssl rand -hex 12), S3_SECRET_KEY=$(openssl rand -hex 32)",
        )
    if bucket.status == 404:
        return Change(f"create bucket {desired.bucket}", "/v2/CreateBucket", {"globalAlias": desired.bucket})
    if bucket.status != 200:
        raise _refused(bucket)
    if not _granted(desired, bucket.document):
        return Change(
            f"let the key read and write {desired.bucket}",
            "/v2/AllowBucketKey",
            {
                "bucketId": bucket.document["id"],
                "accessKeyId": desired.access_key,
                "permissions": {"read": True, "write": True, "owner": False},
            },
        )
    return None


def _layout(desired: Desired, cluster: Mapping[str, Any]) -> Change:
    nodes = cluster.get("nodes") or []
    if not desired.ours or len(nodes) != 1:
        raise TailwartError(
            "Garage has no layout, so it stores nothing yet",
            seen=f"{len(nodes)} nodes without a role",
            expected="a layout; the deploy makes one only on a single empty node that it has installed itself",
            remedy="`garage layout assign` and `garage layout apply` on one of its nodes, then run the deploy again",
        )
    node = nodes[0]
    # On a single node the capacity decides nothing; what the disk has is what `garage status` then shows.
    total = int((node.get("dataPartition") or {}).get("total") or 10**9)
    role = {"id": node["id"], "zone": "home", "capacity": total, "tags": []}
    return Change("lay out the empty node", "/v2/UpdateClusterLayout", {"roles": [role]})


APPLY = Change("apply the layout", "/v2/ApplyClusterLayout", {"version": 1})
"""Follows the layout of an empty node: its first version."""


def _granted(desired: Desired, bucket: Mapping[str, Any]) -> bool:
    for key in bucket.get("keys") or []:
        if key.get("accessKeyId") == desired.access_key:
            permissions = key.get("permissions") or {}
            return bool(permissions.get("read") and permissions.get("write"))
    return False


def forbidden(answer: Answer) -> TailwartError | None:
    """The error for an answer to a token that is wrong or may not do this: Garage has the same words for both."""
    if answer.status not in (401, 403):
        return None
    asked = str(answer.document.get("path") or "").rpartition("/")[2]
    return TailwartError(
        "Garage's admin API refuses the token",
        seen=f"HTTP {answer.status}" + (f" to {asked}" if asked in SCOPE.split(",") else ""),
        expected="the admin_token of its configuration, or a token for what the deploy asks",
        remedy=f"correct GARAGE_ADMIN_TOKEN (`garage admin-token create --scope {SCOPE} tailwart`), or leave it empty "
        "and make bucket, key and grant yourself",
    )


def _refused(answer: Answer) -> TailwartError:
    if refusal := forbidden(answer):
        return refusal
    if answer.status == 0:
        return TailwartError(
            "Garage's admin API cannot be reached from the backends host",
            seen="no answer",
            expected="Garage 2.0 or newer with [admin] api_bind_addr",
            remedy="correct GARAGE_ADMIN_URL, or look at `docker logs tailwart-garage` on the host",
        )
    return TailwartError(
        "Garage's admin API does not answer as version 2 does",
        seen=f"HTTP {answer.status}: {str(answer.document.get('message', ''))[:200]}",
        expected="Garage 2.0 or newer, with a layout and its nodes up",
        remedy="look at `garage status` and at its log, or correct GARAGE_ADMIN_URL; then run the deploy again",
    )


def _section(url: str, body: Mapping[str, Any] | None) -> Iterator[str]:
    yield f"url = {_quoted(url)}"
    yield TOKEN_LINE
    yield "silent"
    yield "max-time = 30"
    yield f'write-out = "\\n{_MARK}%{{http_code}}\\n"'
    if body is not None:
        yield 'header = "Content-Type: application/json"'
        yield f"data = {_quoted(json.dumps(body))}"


def _quoted(text: str) -> str:
    """A value of a curl configuration (curl(1), --config)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
