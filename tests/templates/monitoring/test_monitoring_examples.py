"""The examples for Prometheus and Grafana, read by a real Prometheus that scrapes the server's metrics and ours."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tailwart.checks import prometheus
from tailwart.checks.model import Verdict
from tailwart.stalwart.settings.perimeter import METRICS_PATH, METRICS_USER
from tests.daemons import free_port, program, running
from tests.unit.checks.sample import outcome
from tests.waiting import until

EXAMPLES = Path(__file__).parents[3] / "docs/examples/monitoring"
SERVER = Path(__file__).parents[2] / "unit/checks/server_metrics.txt"
PASSWORD = "metrics-secret"
OURS = prometheus.render(
    outcome({"edge.listens": Verdict.UNKNOWN, "zone.deployed": Verdict.FAILED}, "seen"), "example.org"
)


def promtool(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [program("promtool", "make packages"), *map(str, words)]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def test_promtool_finds_no_fault_with_the_export() -> None:
    done = promtool("check", "metrics", given=OURS)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_alert_fires_for_what_it_is_about() -> None:
    done = promtool("check", "rules", EXAMPLES / "tailwart.rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    tests = sorted(Path(__file__).parent.glob("*.rules-test.yml"))
    done = promtool("test", "rules", *tests)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {rule["alert"] for group in rules()["groups"] for rule in group["rules"]}
    fired = {
        item["alertname"]
        for file in tests
        for case in yaml.safe_load(file.read_text())["tests"]
        for item in case["alert_rule_test"]
        if item["exp_alerts"]
    }
    assert fired == names


def rules() -> Any:
    return yaml.safe_load((EXAMPLES / "tailwart.rules.yml").read_text())


class _Pages(BaseHTTPRequestHandler):
    """Both pages: the server's with its login, ours without one."""

    def do_GET(self) -> None:
        login = base64.b64encode(f"{METRICS_USER}:{PASSWORD}".encode()).decode()
        if self.path == METRICS_PATH and self.headers.get("Authorization") != f"Basic {login}":
            self.send_error(401)
            return
        page = {METRICS_PATH: SERVER.read_text(), "/metrics": OURS}.get(self.path, "")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20)
        document = answer.json()
        assert document["status"] == "success", f"{path} {parameters}: {document.get('error')}"
        return document["data"]

    def targets(self) -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = self.get("targets")["activeTargets"]
        except requests.RequestException:
            return []
        return found


@pytest.fixture(scope="module")
def prometheus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The example's configuration, but for addresses and intervals, with both pages scraped at least twice."""
    pages = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    directory = tmp_path_factory.mktemp("prometheus")
    configuration = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for job in configuration["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{pages.server_port}"]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    (directory / "stalwart-password").write_text(PASSWORD)
    (directory / "tailwart.rules.yml").write_text((EXAMPLES / "tailwart.rules.yml").read_text())
    port = free_port()
    command = [
        program("prometheus", "make packages"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    server = Prometheus(f"http://127.0.0.1:{port}")
    with running(command, directory / "log"):
        until(lambda: {each["health"] for each in server.targets()} == {"up"}, "both pages to be scraped", 60)
        twice = "min(count_over_time(up[1h])) > 1"
        until(lambda: server.get("query", query=twice)["result"], "a second scrape", 60)
        yield server
    pages.shutdown()


def queries() -> Iterator[tuple[str, str]]:
    """Each query of the dashboard with its panel, as Grafana would send it."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$domain", "example.org")


def test_every_query_of_the_dashboard_has_an_answer(prometheus_server: Prometheus) -> None:
    """An answer: the query is valid, and every metric that it names is on one of the two pages."""
    empty = [(title, query) for title, query in queries() if not prometheus_server.get("query", query=query)["result"]]
    assert empty == []
    known = set(prometheus_server.get("label/__name__/values"))
    named = {name for _, query in queries() for name in re.findall(r"\b[a-z]+(?:_[a-z]+)+(?=[\[{)])", query)}
    assert named <= known and len(named) > 25, named - known
    variable = prometheus_server.get("label/domain/values", **{"match[]": "tailwart_doctor_timestamp_seconds"})
    assert variable == ["example.org"]


def test_prometheus_loads_the_rules_and_every_metric_in_them_is_published(prometheus_server: Prometheus) -> None:
    loaded = [rule for group in prometheus_server.get("rules")["groups"] for rule in group["rules"]]
    assert len(loaded) == sum(len(group["rules"]) for group in rules()["groups"])
    known = set(prometheus_server.get("label/__name__/values"))
    named = {name for rule in loaded for name in re.findall(r"\b(?:tailwart|[a-z]+)_[a-z_]+(?=[\[{ )])", rule["query"])}
    assert {"tailwart_check", "queue_rescheduled"} <= named <= known
    until(
        lambda: (
            {each["health"] for group in prometheus_server.get("rules")["groups"] for each in group["rules"]} == {"ok"}
        ),
        "every rule to be evaluated",
        60,
    )
    firing = until(
        lambda: prometheus_server.get("query", query='ALERTS{alertname="MailCheckFailed"}')["result"], "an alert"
    )
    assert {(each["metric"]["id"], each["metric"]["alertstate"]) for each in firing} == {("zone.deployed", "pending")}
