"""Access keys and logins in URLs: the server shows them; plans, representations and exports do not."""

from __future__ import annotations

from tailwart.plan import render, to_json
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.export import plan_lines
from tailwart.stalwart.settings.inputs import S3Store
from tests.unit.stalwart.sample import Deployed, settings

REDIS = "redis://:redispassword@redis.tail1234.ts.net:6379/3"
SECRETS = ("redispassword", "GKsecretaccess")


def test_they_are_not_exported() -> None:
    live = Live(
        {
            "InMemoryStore": ({"@type": "Redis", "id": "singleton", "url": REDIS},),
            "BlobStore": ({"@type": "S3", "id": "singleton", "bucket": "mail", "accessKey": "GKsecretaccess"},),
        }
    )
    text = "\n".join(plan_lines(live))
    assert "redis://********@redis.tail1234.ts.net:6379/3" in text
    assert '"bucket": "mail"' in text
    assert not any(secret in text for secret in SECRETS)


def test_they_are_masked_in_a_plan() -> None:
    given = settings(redis_url=REDIS, s3=S3Store("http://garage.tail1234.ts.net:3900", "g", "mail", "GKsecretaccess"))
    planned = Deployed().plan(given).document(Live({}))
    for text in (render(planned), str(to_json(planned)), repr(given)):
        assert "mail" in text
        assert not any(secret in text for secret in SECRETS)
