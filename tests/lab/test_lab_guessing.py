"""A thousand wrong passwords from outside: the guesser is banned by its own address, and nobody else notices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab import hosts, issuer, topology
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, said, variant
from tests.lab.test_lab_edge import web_server

__all__ = ["web_server"]

EDGE = topology.edge(1).ipv4
# One address per way in, all of them world's, none of them the edge's.
SUBMISSION, IMAPS, VHOST, NAMES = (f"198.51.100.{number}" for number in (201, 202, 203, 204))
ATTEMPTS = 250

# Runs on world. Each attempt is one connection of its own with one wrong password; what came of it is counted.
_GUESSER = """
import collections, http.client, imaplib, json, smtplib, socket, ssl, base64
from concurrent.futures import ThreadPoolExecutor
p = json.loads(PARAMETERS)
tls = ssl.create_default_context(); tls.check_hostname = False; tls.verify_mode = ssl.CERT_NONE
def reach(port):
    return socket.create_connection((p["edge"], port), timeout=60, source_address=(p["source"], 0))
def submission(name):
    s = smtplib.SMTP(timeout=60); s.sock = reach(587); s.file = None; s._host = p["host"]
    code = s.getreply()[0]
    if code != 220: return "closed"
    s.ehlo("guesser.lab.test"); s.starttls(context=tls); s.ehlo("guesser.lab.test")
    try: s.login(name, "wrong"); return "in"
    except smtplib.SMTPAuthenticationError as e: return str(e.smtp_code)
def imaps(name):
    class Client(imaplib.IMAP4_SSL):
        def _create_socket(self, timeout): return tls.wrap_socket(reach(993), server_hostname=p["host"])
    m = Client(p["edge"], 993, ssl_context=tls)
    try: m.login(name, "wrong"); return "in"
    except imaplib.IMAP4.abort: return "closed"
    except imaplib.IMAP4.error: return "refused"
def https(name):
    c = http.client.HTTPSConnection(p["host"], timeout=60)
    c.sock = tls.wrap_socket(reach(443), server_hostname=p["host"])
    login = base64.b64encode(f"{name}:wrong".encode()).decode()
    c.request("GET", "/jmap/session", headers={"Authorization": "Basic " + login})
    return str(c.getresponse().status)
def attempt(number):
    try: return globals()[p["way"]](p["name"].replace("#", str(number)))
    except (OSError, EOFError, http.client.HTTPException, imaplib.IMAP4.abort, smtplib.SMTPException): return "closed"
with ThreadPoolExecutor(40) as pool:
    print(json.dumps(collections.Counter(pool.map(attempt, range(p["attempts"])))))
"""


def guess(way: str, source: str, name: str, host: str) -> dict[str, int]:
    """What came of so many wrong passwords on one way, from one address of world."""
    given = {"way": way, "source": source, "name": name, "host": host, "edge": EDGE, "attempts": ATTEMPTS}
    program = f"PARAMETERS = {json.dumps(given)!r}\n{_GUESSER}"
    done = hosts.exec("world", ["python3", "-"], stdin=program.encode(), check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found: dict[str, int] = json.loads(done.stdout)
    return found


def fetch(url: str, source: str = outside.WORLD_ADDRESS, login: str = "") -> str:
    """The status of one request through the edge; 000 for a connection that is closed."""
    host = url.split("/")[2]
    # The login goes in by a configuration on standard input, not as an argument.
    command = f"curl -s --cacert {issuer.ON_WORLD} --max-time 20 -o /dev/null"
    command += f" --interface {source} --connect-to {host}:443:{EDGE}:443"
    words = ["sh", "-c", f"{command} -w '%{{http_code}}' --config - {url}"]
    config = f'user = "{login}"\n' if login else ""
    return hosts.exec("world", words, stdin=config.encode(), check=False).stdout.decode().strip()


def tailwart(path: Path, *words: str) -> Any:
    """The JSON that a `tailwart` command prints."""
    return json.loads(said(path, *words, "--json"))


def open_to_strangers(environment: Environment, source: str) -> list[str]:
    """The statuses of what everybody may ask for."""
    domain = environment.domain
    return [
        fetch(f"https://mta-sts.{domain}/.well-known/mta-sts.txt", source),
        fetch(f"https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress=alice@{domain}", source),
    ]


def test_a_guesser_is_banned_by_its_own_address_and_nobody_else_notices(
    deployed: Path, web_server: str, tmp_path: Path
) -> None:
    path = variant(deployed, tmp_path / "env", EDGE_1_WEB=web_server, JMAP_VHOST="true", JMAP_VHOST_SERVES="jmap,dav")
    environment = environment_of(deployed)
    domain, mail_host = environment.domain, environment.mail_host
    alice = next(account for account in environment.accounts if account.name == "alice")
    login = f"alice@{domain}:{alice.password.get_secret_value()}"
    try:
        deploy(path)
        _closed(environment, login)
        with outside.addresses(SUBMISSION, IMAPS, VHOST, NAMES):
            # The names that are always open take no login: there is nothing to guess, and nobody to ban.
            assert guess("https", NAMES, f"alice@{domain}", f"mta-sts.{domain}") == {"404": ATTEMPTS}
            by_way = {
                SUBMISSION: guess("submission", SUBMISSION, f"nobody-s#@{domain}", mail_host),
                IMAPS: guess("imaps", IMAPS, f"nobody-#@{domain}", mail_host),
                VHOST: guess("https", VHOST, f"nobody-v#@{domain}", mail_host),
            }
            banned = {item["address"]: item for item in tailwart(path, "bans", "list")}
            for source, results in by_way.items():
                assert "in" not in results
                # Some connections were open already when the hundredth failure banned the address.
                assert results.get("closed", 0) + results.get("403", 0) >= ATTEMPTS - 150, results
                assert banned[source]["reason"] == "login"
                assert banned[source]["until"]
                assert open_to_strangers(environment, source) == ["000", "000"]
            assert set(banned) == set(by_way), "no edge, no other client"
            assert open_to_strangers(environment, NAMES) == ["200", "200"]
        token = outside.mail_in(f"alice@{domain}")
        assert outside.read_back(f"alice@{domain}", alice.password.get_secret_value(), token)
        assert fetch(f"https://{mail_host}/jmap/session", login=login) == "200"
        assert set(tailwart(path, "bans", "lift", "--all")["lifted"]) == set(by_way)
        assert tailwart(path, "bans", "list") == []
    finally:
        tailwart(deployed, "bans", "lift", "--all")


def _closed(environment: Environment, login: str) -> None:
    """Management, metrics and health answer nobody from outside, with whatever login."""
    admin = environment.stalwart_admin_password
    assert admin is not None
    administrator = f"{environment.stalwart_admin}@{environment.domain}:{admin.get_secret_value()}"
    closed = ("/api/schema", "/admin/", "/account/", "/auth/token", "/metrics/prometheus", "/healthz/live", "/login")
    for path in closed:
        assert fetch(f"https://{environment.mail_host}{path}", login=login) == "404", path
    for path in (*closed, "/jmap/session", "/jmap/", "/dav/"):
        assert fetch(f"https://mta-sts.{environment.domain}{path}", login=login) == "404", path
    assert fetch(f"https://{environment.mail_host}/jmap/session", login=administrator) == "403"
    assert open_to_strangers(environment, outside.WORLD_ADDRESS) == ["200", "200"]
