"""Transport by curl inside the container, over the SSH connection of the deploy.

The operator's machine need not be on the tailnet: 8080 is asked from its own namespace. No secret is in an argument
list: the login reaches curl as a configuration on a file descriptor, the bodies on its standard input.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.protocol.failures import NotReachable
from tailwart.stalwart.protocol.transport import ACCOUNT, JMAP_PATH, SESSION_PATH, Response

READ_LOGIN = r"""
IFS= read -r login
case $login in
  "Bearer "*) login="header = \"Authorization: $login\"" ;;
  *) login="user = \"$login\"" ;;
esac
"""
"""Reads the login and makes it a line of curl's configuration: a key as `bearer` writes it, else user and password."""

# Runs in the container. Line 1 of the input is the login, every further line one body. The account id comes from the
# session of that very login, so it can never be another account's.
_INSIDE = (
    READ_LOGIN
    + r"""
ask() {
  curl --silent --show-error --max-time "$SECONDS_EACH" --config /dev/fd/3 --write-out '\n%{http_code}' "$@" 3<<END
$login
END
}
session=$(ask "$BASE@session@"); code=$?
account=$(printf '%s' "$session" | tr -d '\n' | sed -n 's/.*"urn:stalwart:jmap" *: *"\([^"]*\)".*/\1/p')
if [ -z "$account" ]; then
  printf '%s\n%s exit %s\n' "$session" "$MARK" "$code"
  exit 0
fi
while IFS= read -r body; do
  [ -n "$body" ] || continue
  printf '%s' "$body" | sed "s/@account@/$account/g" |
    ask --header 'Content-Type: application/json' --data-binary @- "$BASE@jmap@"
  code=$?
  printf '\n%s exit %s\n' "$MARK" "$code"
done
""".replace("@session@", SESSION_PATH)
    .replace("@jmap@", JMAP_PATH)
    .replace("@account@", ACCOUNT)
)

# curl's exit codes: its manual, "EXIT CODES".
_CURL = {
    "7": "connection refused",
    "18": "the answer broke off",
    "28": "no answer in time",
    "52": "an empty answer",
    "56": "the connection broke",
}


@dataclass(frozen=True, slots=True)
class Login:
    """Where the login comes from: a shell command on the host, or a text sent along on standard input."""

    command: str = ""
    text: str = ""


def stored_login(directory: str = names.DIRECTORY) -> Login:
    """The login last proven to work; until the server is initialised, the one of its first start."""
    credentials, bootstrap = f"{directory}/{names.CREDENTIALS}", f"{directory}/{names.BOOTSTRAP_ENV}"
    return Login(
        f"if [ -f {directory}/{names.INITIALISED} ]; then cat {credentials}; "
        f"else sed -n 's/^{names.ENV_RECOVERY_ADMIN}=//p' {bootstrap}; fi 2>/dev/null | sed -n 1p | grep . || echo :"
    )


def login(user: str, password: str) -> Login:
    """A login as text, quoted for curl's configuration."""
    return Login(text=quoted(user, password))


def quoted(user: str, password: str) -> str:
    """`user:password` as it stands between double quotes in curl's configuration file; no line breaks are possible."""
    return f"{user}:{password}".replace("\\", "\\\\").replace('"', '\\"').replace("\n", "").replace("\r", "")


def bearer(key: str) -> str:
    """An API key in the form in which `READ_LOGIN` knows it; the server's keys hold neither quotes nor blanks."""
    return f"Bearer {key}"


def fetch(run: Runner, login: Login, path: str, *, base: str = names.BASE, seconds: int = 30) -> str | None:
    """A document of the server's own HTTP port; None where it is refused, missing or not answered in time."""
    inside = (
        f"{READ_LOGIN}\ncurl --silent --fail --max-time {seconds} --config /dev/fd/3 {base}{path} 3<<END\n$login\nEND"
    )
    done = run(
        f"docker exec -i {names.CONTAINER} sh -c {shlex.quote(inside)}", stdin=f"{login.text}\n", timeout=seconds + 30
    )
    return done.stdout if done.ok else None


class ContainerTransport:
    """`Transport` through `docker exec`; `before`: a shell command that must succeed first, in the same round trip."""

    def __init__(
        self,
        run: Runner,
        login: Login,
        *,
        base: str = names.BASE,
        seconds: int = 60,
        before: str = "",
        container: str = names.CONTAINER,
    ) -> None:
        self._run = run
        self._login = login
        self._base = base
        self._seconds = seconds
        self._before = before
        self._container = container

    def exchange(self, bodies: Sequence[str]) -> list[Response]:
        """See `Transport`."""
        script, stdin, mark = self.command(bodies)
        if self._before:
            script = f"{{ {self._before}; }} && {script}"
        seconds = self._seconds * (len(bodies) + 1) + 30
        done = self._run(script, stdin=stdin, timeout=seconds)
        if not done.stdout and not done.stderr:
            # Even a refused login prints a line: the engine ended the shell before it asked for anything.
            done = self._run(script, stdin=stdin, timeout=seconds)
        return parse(done.stdout, done.stderr, mark, len(bodies))

    def command(self, bodies: Sequence[str], mark: str = "") -> tuple[str, str, str]:
        """The shell command, its standard input, and the mark that ends each answer: a new one unless it is given."""
        mark = mark or secrets.token_hex(12)
        variables = f"MARK={mark} BASE={shlex.quote(self._base)} SECONDS_EACH={self._seconds}"
        inside = f"{variables}; {_INSIDE}"
        first = f"{self._login.command}; cat" if self._login.command else "cat"
        script = f"{{ {first}; }} | docker exec -i {self._container} sh -c {shlex.quote(inside)}"
        lines = [self._login.text, *bodies] if self._login.text else list(bodies)
        return script, "\n".join(lines) + "\n", mark


def parse(stdout: str, stderr: str, mark: str, count: int) -> list[Response]:
    """The answers in a command's output, `count` of them; raises NotReachable when curl or docker got none."""
    responses: list[Response] = []
    lines: list[str] = []
    for line in stdout.splitlines():
        if not line.startswith(f"{mark} exit "):
            lines.append(line)
            continue
        responses.append(_response(lines, line.removeprefix(f"{mark} exit ").strip(), stderr))
        lines = []
    if len(responses) == 1 and (count != 1 or responses[0].status == 401):
        # The session document was refused: that answer holds for every request.
        return responses * count
    if len(responses) != count:
        raise _unreached(stderr.strip().splitlines()[-1:] or ["the connection to the host broke off"])
    return responses


def _response(lines: list[str], code: str, stderr: str) -> Response:
    if code != "0":
        said = [line for line in stderr.splitlines() if line.startswith("curl:")]
        raise _unreached([_CURL.get(code, f"curl exit code {code}"), *said[-1:]])
    status = lines[-1].strip() if lines else ""
    return Response(int(status) if status.isdigit() else 0, "\n".join(lines[:-1]))


def _unreached(seen: Sequence[str]) -> NotReachable:
    return NotReachable(
        "Stalwart cannot be reached in its container",
        seen="; ".join(seen),
        expected="an answer of the container `stalwart` on its port 8080",
        remedy="on the mailbox host: `docker ps --all` and `docker logs --tail 50 stalwart`",
    )
