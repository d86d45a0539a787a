"""What a user reads when the mailbox does not come up."""

from __future__ import annotations

import re
from dataclasses import replace

from tailwart.hosts.project import ContainerStory
from tailwart.hosts.report import Engine, HostReport
from tailwart.mailbox.failures import explain
from tailwart.mailbox.project import compose_project
from tailwart.mailbox.render import NO_STORE, NO_TAILNET, sidecar_health
from tailwart.operations.diagnosis import explain_failure
from tailwart.runner import Completed
from tests.unit.mailbox.test_mailbox_render import OAUTH, POSTGRES, environment
from tests.unit.operations.test_operations_project import SIDECAR, STALWART

ENVIRONMENT = environment(**POSTGRES)
UNHEALTHY = replace(SIDECAR, health="unhealthy")
WAITING = replace(STALWART, state="created", health="")


def test_postgres_down_is_lesson_1_with_the_settings_to_check() -> None:
    refused = "nc: postgres.tail1234.ts.net (100.64.0.7:5432): Connection refused"
    story = ContainerStory(UNHEALTHY, f"{refused}\n{NO_STORE}", ())
    problem = explain(ENVIRONMENT, [story, ContainerStory(WAITING, "", ())])
    assert problem is not None
    assert problem.lesson == 1
    assert problem.seen == refused, "the code of the healthcheck is not for people"
    assert "postgres.tail1234.ts.net" in problem.expected
    assert "STALWART_DB_HOST" in problem.remedy


def test_a_silent_refusal_still_names_the_endpoint() -> None:
    problem = explain(ENVIRONMENT, [ContainerStory(UNHEALTHY, NO_STORE, ())])
    assert problem is not None
    assert problem.seen == "no answer from postgres.tail1234.ts.net:5432"


def test_every_code_of_the_healthcheck_is_one_word_with_a_message_here() -> None:
    # A healthcheck that prints words for people would recreate the sidecar whenever they are reworded.
    codes = re.findall(r"echo ([^;]*);", sidecar_health(ENVIRONMENT))
    assert codes == [NO_TAILNET, NO_STORE]
    for code in codes:
        assert re.fullmatch(r"[a-z-]+", code)
        assert explain(ENVIRONMENT, [ContainerStory(UNHEALTHY, code, ())]) is not None


def test_a_sidecar_off_the_tailnet_is_shown_with_its_last_log_lines() -> None:
    story = ContainerStory(UNHEALTHY, NO_TAILNET, ("boot: invalid key",))
    problem = explain(ENVIRONMENT, [story])
    assert problem is not None
    assert "invalid key" in problem.seen
    assert "TS_AUTHKEY" in problem.remedy


def test_an_unknown_cause_shows_health_and_log_without_secrets() -> None:
    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        if "docker logs" in script:
            return Completed(True, f"panic with {OAUTH} inside\nlast line", "")
        return Completed(True, '"curl: (7) refused\\n"', "")

    broken = replace(STALWART, health="unhealthy")
    report = HostReport(engine=Engine(True, "26.1"), containers=(SIDECAR, broken))
    problem = explain_failure(run, compose_project(ENVIRONMENT), report, "container stalwart is unhealthy")
    text = str(problem)
    assert text.startswith("stalwart did not come up")
    assert "curl: (7) refused" in text
    assert "last line" in text
    assert OAUTH not in text
    assert "docker compose" in problem.remedy
