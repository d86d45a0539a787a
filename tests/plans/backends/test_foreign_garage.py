"""A Garage that others run, by the URL and a token of its admin API, and any S3 by a key: a real node answers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tailwart.backends.buckets import AdminApi, ensure, read
from tailwart.backends.garage_admin import SCOPE, Desired, plan
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.stalwart.settings.inputs import S3Store
from tailwart.stalwart.settings.stores import probe_s3
from tests.contract.garage import ADMIN_URL, ENDPOINT, REGION, Garage, garage
from tests.contract.namespace import Namespace, namespace
from tests.plans.backends.inside import Inside

BUCKET = "stalwart-mail"


class Host(Inside):
    """The backends host, or the mailbox: the namespace in which the node listens."""

    def __init__(self, space: Namespace, secret: str = "") -> None:
        super().__init__(space, {"PATH": "/usr/bin:/bin", names.ENV_S3: secret})


def pair() -> Desired:
    """Bucket and key as .env names them, made anew."""
    return Desired(BUCKET, f"GK{secrets.token_hex(12)}", secrets.token_hex(32))


@pytest.fixture(scope="module")
def node() -> Iterator[Garage]:
    """With the layout, a bucket and a key of its owner."""
    with namespace() as space, garage(space) as made:
        number = made.cli("node", "id", "-q").partition("@")[0]
        made.cli("layout", "assign", number, "-z", "theirs", "-c", "1G")
        made.cli("layout", "apply", "--version", "1")
        made.cli("bucket", "create", "photos")
        made.cli("key", "create", "camera")
        made.cli("bucket", "allow", "--read", "--write", "photos", "--key", "camera")
        yield made


@dataclass(frozen=True)
class Made:
    """What the deploy has made, with a token that may do what it asks and nothing else."""

    host: Host
    api: AdminApi
    desired: Desired
    before: list[object]


@pytest.fixture(scope="module")
def made(node: Garage) -> Made:
    desired, before = pair(), others(node)
    host, api = Host(node.space), AdminApi(ADMIN_URL, token_of(node, SCOPE))
    ensure(host, api, desired)
    return Made(host, api, desired, before)


def others(node: Garage) -> list[object]:
    """Everything of the node that is not ours."""
    layout = node.ask("GetClusterLayout")
    buckets = [line.split() for line in node.cli("bucket", "list").splitlines() if BUCKET not in line]
    photos = node.ask("GetBucketInfo", globalAlias="photos")
    return [layout["version"], layout["roles"], layout["stagedRoleChanges"], buckets, photos]


def granted(node: Garage, desired: Desired) -> dict[str, bool]:
    keys = node.ask("GetBucketInfo", globalAlias=BUCKET)["keys"]
    (found,) = [each["permissions"] for each in keys if each["accessKeyId"] == desired.access_key]
    return dict(found)


def token_of(node: Garage, scope: str) -> str:
    return node.cli("admin-token", "create", "-q", "--scope", scope, "tailwart").strip().splitlines()[-1]


def store(desired: Desired, bucket: str = BUCKET, region: str = REGION) -> S3Store:
    return S3Store(ENDPOINT, region, bucket, desired.access_key)


def test_a_node_without_a_layout_stays_without_one() -> None:
    with namespace() as space, garage(space) as empty:
        with pytest.raises(TailwartError, match="no layout") as caught:
            ensure(Host(space), AdminApi(ADMIN_URL, empty.token), pair())
        assert "garage layout assign" in caught.value.remedy
        layout = empty.ask("GetClusterLayout")
        assert (layout["version"], layout["roles"], layout["stagedRoleChanges"]) == (0, [], [])


def test_bucket_key_and_grant_are_made_and_nothing_else_changes(node: Garage, made: Made) -> None:
    assert granted(node, made.desired) == {"read": True, "write": True, "owner": False}
    assert plan(made.desired, read(made.host, made.api, made.desired)) is None, "a second run has nothing to do"
    assert others(node) == made.before
    assert not any(made.desired.secret_key in script or made.api.token in script for script in made.host.scripts)


def test_a_lost_grant_is_given_again(node: Garage, made: Made) -> None:
    node.cli("bucket", "deny", "--write", BUCKET, "--key", made.desired.access_key)
    assert not granted(node, made.desired)["write"]
    ensure(made.host, made.api, made.desired)
    assert granted(node, made.desired)["write"]


def test_a_key_with_another_secret_is_left_as_it_is(node: Garage, made: Made) -> None:
    with pytest.raises(TailwartError, match="another secret"):
        ensure(made.host, made.api, Desired(BUCKET, made.desired.access_key, secrets.token_hex(32)))
    key = node.ask("GetKeyInfo", id=made.desired.access_key, showSecretKey=True)
    assert key["secretAccessKey"] == made.desired.secret_key


def test_a_token_with_too_small_a_scope_is_told_what_it_lacks(node: Garage) -> None:
    token = token_of(node, "GetClusterStatus,GetBucketInfo,GetKeyInfo")
    with pytest.raises(TailwartError, match="refuses the token") as caught:
        ensure(Host(node.space), AdminApi(ADMIN_URL, token), pair())
    assert caught.value.seen == "HTTP 403 to ImportKey"
    assert f"--scope {SCOPE}" in caught.value.remedy
    assert token not in str(caught.value)


def test_a_wrong_token_and_a_wrong_url_are_explained_without_the_token(node: Garage) -> None:
    host, wrong = Host(node.space), secrets.token_hex(16)
    with pytest.raises(TailwartError, match="refuses the token") as caught:
        ensure(host, AdminApi(ADMIN_URL, wrong), pair())
    assert "GARAGE_ADMIN_TOKEN" in caught.value.remedy
    assert wrong not in f"{caught.value} {host.scripts}"
    with pytest.raises(TailwartError, match="cannot be reached") as caught:
        ensure(host, AdminApi("http://127.0.0.1:3999", node.token), pair())
    assert "GARAGE_ADMIN_URL" in caught.value.remedy
    # The S3 port in place of the admin port: it answers, with XML.
    with pytest.raises(TailwartError) as caught:
        ensure(host, AdminApi(ENDPOINT, node.token), pair())
    assert "GARAGE_ADMIN_URL" in caught.value.remedy


def test_any_s3_is_tried_with_the_key_and_what_is_wrong_is_told_apart(node: Garage) -> None:
    """Bucket and key are there, made by their owner; the mailbox writes, reads and removes an object."""
    desired = Desired("attic", f"GK{secrets.token_hex(12)}", secrets.token_hex(32))
    node.cli("bucket", "create", "attic")
    node.cli("key", "import", "--yes", desired.access_key, desired.secret_key)
    node.cli("bucket", "allow", "--read", "--write", "attic", "--key", desired.access_key)
    good = store(desired, "attic")
    host = Host(node.space, desired.secret_key)
    probe_s3(host, good, "sh -c")
    assert node.ask("GetBucketInfo", globalAlias="attic")["objects"] == 0, "nothing is left behind"
    assert not any(desired.secret_key in script for script in host.scripts)

    def said(tried: S3Store, secret: str = desired.secret_key) -> str:
        with pytest.raises(TailwartError, match="does not serve") as caught:
            probe_s3(Host(node.space, secret), tried, "sh -c")
        text = str(caught.value)
        assert secret not in text and tried.access_key not in text
        return text

    text = said(store(pair(), "attic"))
    assert "does not know the access key" in text and "check S3_ACCESS_KEY" in text
    text = said(good, secrets.token_hex(32))
    assert "the secret is wrong" in text and "check S3_SECRET_KEY" in text
    assert "check S3_REGION" in said(store(desired, "attic", "elsewhere"))
    text = said(store(desired, "nowhere"))
    assert "list: HTTP 404: the bucket does not exist" in text and "S3_BUCKET" in text
    assert "the key may not list this bucket" in said(store(desired, "photos"))
    node.cli("bucket", "deny", "--write", "attic", "--key", desired.access_key)
    assert "put: HTTP 403: the key may not write to this bucket" in said(good)
