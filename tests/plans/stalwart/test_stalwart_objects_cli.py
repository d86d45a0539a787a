"""`tailwart settings describe`, `export --all` and `import`, as an operator types them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from tailwart.cli import cli
from tailwart.cli.commands import objects as object_commands
from tailwart.cli.commands import settings as settings_commands
from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.stalwart.protocol.container import stored_login
from tailwart.stalwart.settings.declaration import from_environment
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.plans.stalwart.test_stalwart_cli import ENV

# What somebody clicked in the admin UI.
CLICKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SieveSystemScript", {"name": "invoices", "contents": "keep;\nstop;", "isActive": True}),
    ("Role", {"description": "helpers", "enabledPermissions": {"authenticate": True}}),
    ("MtaVirtualQueue", {"name": "bulk", "threadsPerNode": 3}),
    (
        "MtaInboundThrottle",
        {"description": "slow", "rate": {"count": 5, "period": 60000}, "key": {"remoteIp": True, "sender": True}},
    ),
    ("MemoryLookupKey", {"namespace": "blocked-domains", "key": "spammer.example"}),
    (
        "WebHook",
        {
            "url": "https://hooks.example.net/",
            "httpAuth": {"@type": "Basic", "username": "me", "secret": {"@type": "Value", "secret": "clicked-secret"}},
        },
    ),
    ("OAuthClient", {"clientId": "webmail", "secret": "clicked-secret", "contacts": {"a@example.org": True}}),
)


class Commands:
    def __init__(self, host: StalwartHost, env: Path) -> None:
        self.host = host
        self.env = env

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(cli, ["settings", *words], env={"TAILWART_ENV": str(self.env)})


@pytest.fixture
def commands(host: StalwartHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    env = tmp_path / ".env"
    env.touch(mode=0o600)
    env.write_text(ENV)

    @contextmanager
    def reached(_: object) -> Iterator[StalwartHost]:
        yield host

    def plane(run: StalwartHost, _host: object, _environment: object, desired: Any, log: Any) -> Any:
        return run.plane(desired, log)

    for module in (settings_commands, object_commands):
        monkeypatch.setattr(module, "mailbox_host", reached)
        monkeypatch.setattr(module, "server", plane)
    monkeypatch.setattr(object_commands, "stored_login", lambda: stored_login(str(host.home)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "group_data").mkdir()
    host.deploy(from_environment(load(env).environment))
    return Commands(host, env)


def test_a_server_that_was_set_up_by_clicks_becomes_code_that_plans_nothing(commands: Commands) -> None:
    for kind, fields in CLICKED:
        assert commands.host.call(kind, "set", create={"a": fields})["created"], kind
    commands.host.call("Http", "set", update={"singleton": {"rateLimitAnonymous": None}})
    file = Path("group_data/mailbox.py")
    written = commands.run("export", "--all", "--output", str(file))
    assert written.exit_code == 0, written.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    values: dict[str, Any] = {}
    exec(text, values)  # noqa: S102 - what the command wrote
    objects = values["stalwart_objects"]
    assert objects["SieveSystemScript"] == {"invoices": {"contents": "keep;\nstop;", "isActive": True}}
    assert objects["MtaInboundThrottle"]["slow"]["rate"] == {"count": 5, "period": "1m"}
    assert objects["Http"]["rateLimitAnonymous"] is None
    assert objects["WebHook"]["https://hooks.example.net/"] == {"httpAuth": {"@type": "Basic", "username": "me"}}
    assert "clicked-secret" not in text
    assert '{"env": "SECRET_OAUTHCLIENT_WEBMAIL_SECRET"}, and SECRET_OAUTHCLIENT_WEBMAIL_SECRET in .env' in text
    plan = commands.run("plan", "--exit-code")
    assert (plan.exit_code, "no changes" in plan.output) == (0, True), plan.output
    one = commands.run("export", "--kind", "Role")
    exec(one.stdout, values)  # noqa: S102 - what the command wrote
    # A real server has roles of its own beside it.
    assert values["stalwart_objects"]["Role"]["helpers"] == {"enabledPermissions": ["authenticate"]}
    assert set(values["stalwart_objects"]) == {"Role"}
    unknown = commands.run("export", "--kind", "Rolle")
    assert "tailwart settings describe Role" in str(unknown.exception)


def test_describe_asks_the_server_once_and_completes_from_what_it_said(commands: Commands) -> None:
    kinds = json.loads(commands.run("describe", "--json").output)
    assert {"Role", "Email", "WebHook"} <= {each["kind"] for each in kinds}
    before = commands.host.commands
    listing = commands.run("describe").output
    assert "\nEmail " in listing
    kind = commands.run("describe", "MtaRoute").output
    assert "After a change: restart (the route table is built once, at the start)." in kind
    assert "only at creation" in kind
    field = commands.run("describe", "WebHook.timeout").output
    assert "a duration in milliseconds; default 30s" not in kind
    assert "default 30s" in field
    assert "then reload (not measured)" in field
    inside = json.loads(commands.run("describe", "MtaInboundThrottle.rate.count", "--json").output)
    assert inside["field"] == "rate/count"
    assert commands.host.commands == before, "the schema seen last"
    wrong = commands.run("describe", "MtaInboundThrottle.rat")
    assert "tailwart settings describe MtaInboundThrottle.rate" in str(wrong.exception)
    assert isinstance(commands.run("describe", "Rool").exception, TailwartError)
    assert completed("describe", "MtaInboundT") == ["MtaInboundThrottle"]
    assert completed("describe", "MtaInboundThrottle.rate.c") == ["MtaInboundThrottle.rate.count"]
    assert completed("export", "--kind", "SieveSys") == ["SieveSystemInterpreter", "SieveSystemScript"]


def completed(*words: str) -> list[str]:
    """What the shell would offer behind `tailwart settings …`."""
    *before, begun = words
    found = ShellComplete(cli, {}, "tailwart", "_TAILWART_COMPLETE").get_completions(["settings", *before], begun)
    return [item.value for item in found]


KEY = "SECRET_WEBHOOK_HTTPS_H_EXAMPLE_NET_SIGNATUREKEY"
PLAN = """\
{"@type":"destroy","object":"Role","value":{"description":"old"}}
{"@type":"destroy","object":"MtaRoute"}
{"@type":"create","object":"MtaVirtualQueue","value":{"q":{"name":"bulk","threadsPerNode":3}}}
{"@type":"upsert","object":"MtaDeliverySchedule","matchOn":["name"],"value":{"s":{"name":"slow","queueId":"#q","nope":1}}}
{"@type":"update","object":"x:http","value":{"usePermissiveCors":true,"rateLimitAnonymous/count":9}}
{"@type":"create","object":"WebHook","value":{"w":{"url":"https://h.example.net/","signatureKey":{"@type":"Value","secret":"in-the-plan"}}}}
{"@type":"update","object":"Role","id":"b","value":{"description":"x"}}
{"@type":"create","object":"Task","value":{"t":{"@type":"DkimManagement"}}}
"""


def test_a_plan_of_stalwarts_own_client_becomes_a_declaration(commands: Commands) -> None:
    Path("plan.ndjson").write_text(PLAN)
    shown = commands.run("import", "plan.ndjson")
    assert shown.exit_code == 0, shown.output
    values: dict[str, Any] = {}
    exec(shown.stdout, values)  # noqa: S102 - what the command printed
    assert values["stalwart_objects"] == {
        "Role": {"old": None},
        "MtaVirtualQueue": {"bulk": {"threadsPerNode": 3}},
        "MtaDeliverySchedule": {"slow": {"queueId": "bulk"}},
        "Http": {"usePermissiveCors": True, "rateLimitAnonymous": {"count": 9}},
        "WebHook": {
            "https://h.example.net/": {"signatureKey": {"env": "SECRET_WEBHOOK_HTTPS_H_EXAMPLE_NET_SIGNATUREKEY"}}
        },
    }
    assert "in-the-plan" not in shown.output
    for remark in (
        "# line 2: destroying MtaRoute is left out",
        "# MtaDeliverySchedule slow: this server knows no field nope",
        f"signatureKey: put the secret into .env as {KEY}",
        "# line 7: Role b is named by an id of another server",
        "# line 8: Task is left out: an order, not a setting",
    ):
        assert remark in shown.output
    assert commands.host.objects("MtaVirtualQueue") and not [
        item for item in commands.host.objects("MtaVirtualQueue") if item["name"] == "bulk"
    ], "nothing is sent"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not JSON"),
        ('\n{"@type":"delete","object":"Role"}', "line 2: not an operation"),
        ('{"@type":"create","object":"Rool","value":{}}', "line 1: unknown kind Rool"),
        ('{"@type":"create","object":"Role","value":[]}', "line 1: create without objects"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_line(commands: Commands, text: str, message: str) -> None:
    Path("plan.ndjson").write_text(text)
    assert message in str(commands.run("import", "plan.ndjson").exception)
