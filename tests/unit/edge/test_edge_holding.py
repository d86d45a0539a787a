"""An edge that lets senders wait: everything is routed as before, with more patience for the mailbox alone."""

from __future__ import annotations

import json
import re

import pytest

from tailwart.edge.caddy_config import EdgeRoutes, document
from tailwart.edge.holding import PATIENCE, hold, holding
from tailwart.errors import TailwartError
from tailwart.runner import Completed

ROUTES = EdgeRoutes("stalwart.tailnet.test", ("example.org",), web=True)


def test_only_the_patience_with_the_mailbox_changes() -> None:
    before = document(ROUTES)
    text = json.dumps(before)
    after = json.dumps(holding(before))
    assert json.dumps(before) == text, "what was given is left as it was"
    assert after.replace(f'"{PATIENCE}"', '"10s"') == text
    web = re.search(r'"dial": \["127\.0\.0\.1:8443"\].{,60}?"try_duration": "(\w+)"', after)
    assert web is not None and web[1] == "10s"
    assert after.count(PATIENCE) == 6, "five mail services, and the names on :443 that are the mail server's"


def test_an_edge_that_is_none_says_so() -> None:
    def bare(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        return Completed(False, "", "cat: /opt/tailwart/edge/caddy.json: No such file or directory")

    with pytest.raises(TailwartError, match="cannot hold mail back") as caught:
        hold(bare)
    assert "No such file" in caught.value.seen
