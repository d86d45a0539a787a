"""Bucket, key and grant in Garage: what is asked, what follows from the answers, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailwart.backends.garage_admin import Answer, Desired, answers, config, plan, questions
from tailwart.errors import TailwartError

DESIRED = Desired("stalwart-mail", "GK31c2f218a2e44f485b94239e", "b8" * 32)
OURS = Desired(DESIRED.bucket, DESIRED.access_key, DESIRED.secret_key, ours=True)
CLUSTER = Answer(200, {"layoutVersion": 1, "nodes": [{"id": "a", "role": {}}]})
EMPTY = Answer(200, {"layoutVersion": 0, "nodes": [{"id": "a", "role": None, "dataPartition": {"total": 5}}]})
KEY = Answer(200, {"secretAccessKey": DESIRED.secret_key})
MISSING = Answer(404, {"code": "NoSuchBucket"})


def bucket(**permissions: bool) -> Answer:
    return Answer(200, {"id": "b", "keys": [{"accessKeyId": DESIRED.access_key, "permissions": permissions}]})


def paths(*found: Answer, desired: Desired = DESIRED) -> tuple[str, dict[str, Any]]:
    change = plan(desired, found)
    assert change is not None
    return change.path, dict(change.body)


def test_key_bucket_and_grant_are_made_one_after_the_other() -> None:
    path, body = paths(CLUSTER, MISSING, MISSING)
    assert (path, body["secretAccessKey"]) == ("/v2/ImportKey", DESIRED.secret_key)
    assert paths(CLUSTER, MISSING, KEY) == ("/v2/CreateBucket", {"globalAlias": "stalwart-mail"})
    path, body = paths(CLUSTER, bucket(read=True, write=False), KEY)
    assert (path, body["permissions"]) == ("/v2/AllowBucketKey", {"read": True, "write": True, "owner": False})
    assert plan(DESIRED, [CLUSTER, bucket(read=True, write=True), KEY]) is None


def test_a_key_of_another_bucket_is_no_grant() -> None:
    other = Answer(200, {"id": "b", "keys": [{"accessKeyId": "GKother", "permissions": {"read": True, "write": True}}]})
    assert paths(CLUSTER, other, KEY)[0] == "/v2/AllowBucketKey"


def test_a_layout_is_made_on_a_single_empty_node_of_ours_alone() -> None:
    path, body = paths(EMPTY, Answer(500, {}), Answer(500, {}), desired=OURS)
    assert (path, body["roles"][0]["capacity"]) == ("/v2/UpdateClusterLayout", 5)
    two = Answer(200, {"layoutVersion": 0, "nodes": [{"id": "a"}, {"id": "b"}]})
    for desired, cluster in ((DESIRED, EMPTY), (OURS, two)):
        with pytest.raises(TailwartError, match="no layout"):
            plan(desired, [cluster, Answer(500, {}), Answer(500, {})])


def test_another_secret_of_the_key_is_refused_without_showing_either() -> None:
    with pytest.raises(TailwartError, match="another secret") as caught:
        plan(DESIRED, [CLUSTER, MISSING, Answer(200, {"secretAccessKey": "ff" * 32})])
    assert DESIRED.secret_key not in str(caught.value)
    assert "ffff" not in str(caught.value)


@pytest.mark.parametrize(("status", "named"), [(403, "GARAGE_ADMIN_TOKEN"), (0, "GARAGE_ADMIN_URL"), (500, "status")])
def test_an_admin_api_that_does_not_answer_is_explained(status: int, named: str) -> None:
    with pytest.raises(TailwartError) as caught:
        plan(DESIRED, [Answer(status, {})] * 3)
    assert named in caught.value.remedy


def test_requests_are_sections_of_a_curl_configuration_without_the_token() -> None:
    text = config("http://127.0.0.1:3903/", questions(DESIRED))
    assert text.count("next") == 2
    assert text.count("@token") == 3
    body = {"name": 'a"b\\'}
    (line,) = [line for line in config("http://x", ["/v2/ImportKey"], body).splitlines() if line.startswith("data")]
    inside = line.removeprefix('data = "').removesuffix('"').replace('\\"', '"').replace("\\\\", "\\")
    assert json.loads(inside) == body


def test_answers_are_read_in_order_and_noise_is_no_document() -> None:
    output = '{"a": 1}\n--tailwart-status 200\n<html>\n--tailwart-status 502\n\n--tailwart-status 204\n'
    assert [(each.status, dict(each.document)) for each in answers(output)] == [(200, {"a": 1}), (502, {}), (204, {})]
    assert answers("") == []
