"""Probes of the stores, from inside the sidecar's namespace, before they are written: the server accepts any endpoint.

S3 is asked with the credentials that Stalwart will use, which are in its container's environment. The index of Redis
must be empty or carry this server's mark: two users of one index destroy each other's locks and limits.
"""

from __future__ import annotations

import re
import shlex
from itertools import zip_longest
from urllib.parse import unquote, urlsplit

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.protocol.container import quoted
from tailwart.stalwart.settings.inputs import S3Store

OWNER_KEY = "tailwart:owner"

# What Stalwart will do with a message body, in this order; the code of each is one line of the answer, and the store's
# own words are the line before.
_S3_STEPS = {"list": "list", "put": "write to", "get": "read", "delete": "remove from"}
# Code and words in the answer (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; Garage says
# AccessDenied for a wrong key as well, and why in its message) → what is wrong, and what to do.
_S3_MEANING = (
    ("301", "", "the region is wrong", "check S3_REGION"),
    ("400", "AuthorizationHeaderMalformed", "the region is wrong", "check S3_REGION"),
    ("400", "", "the region or the endpoint is wrong", "check S3_REGION and S3_ENDPOINT"),
    ("403", "InvalidAccessKeyId", "the store does not know the access key", "check S3_ACCESS_KEY"),
    ("403", "No such key", "the store does not know the access key", "check S3_ACCESS_KEY"),
    ("403", "SignatureDoesNotMatch", "the secret is wrong", "check S3_SECRET_KEY"),
    ("403", "Invalid signature", "the secret is wrong", "check S3_SECRET_KEY"),
    ("403", "RequestTimeTooSkewed", "the clock of the mailbox host is wrong", "check `timedatectl` on the host"),
    (
        "403",
        "",
        "the key may not @step this bucket",
        "give the key the right to list, read, write and remove there, or check S3_ACCESS_KEY and S3_SECRET_KEY",
    ),
    ("404", "", "the bucket does not exist", "create it, or check S3_BUCKET"),
)
_S3_SAID = re.compile(r"<Code>([^<]{1,80})</Code>.*?<Message>([^<]{0,300})</Message>")


def probe_s3(run: Runner, store: S3Store, shell: str = f"docker exec -i {names.CONTAINER} sh -c") -> None:
    """List the bucket, then write, read and remove an object; raises TailwartError naming the setting that is wrong.

    ``shell`` begins a command on the host that runs a script where the key's secret is in the environment.
    """
    url = f"{store.endpoint.rstrip('/')}/{store.bucket}"
    user = quoted(store.access_key, "")
    inside = (
        # The header, because curl before 8 sends none, and stores ask for it. Of an answer, the beginning is enough.
        "IFS= read -r user\nask() {\n"
        "said=$(curl --silent --show-error --max-time 20 --write-out '%{stderr}code %{http_code}\\n' "
        "--header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "
        f'--aws-sigv4 {shlex.quote(f"aws:amz:{store.region}:s3")} --config /dev/fd/3 "$@" 3<<END | head -c 2000\n'
        f'user = "$user${names.ENV_S3}"\nEND\n)\nprintf "said %s\\n" "$said" | tr "\\r\\n" "  "; echo\n}}\n'
        f'url={shlex.quote(url)}; ask "$url?list-type=2&max-keys=1"; key=$url/tailwart-probe\n'
        'ask --request PUT --header "Content-Type: application/octet-stream" --data-binary tailwart "$key"\n'
        'ask "$key"; ask --request DELETE "$key"\n'
    )
    done = run(f"{shell} {shlex.quote(inside)} 2>&1", stdin=f"{user}\n", timeout=60)
    lines = done.stdout.splitlines()
    codes = [line.split()[1] for line in lines if line.startswith("code ")]
    step, code = next(
        ((step, code) for step, code in zip_longest(_S3_STEPS, codes[:4], fillvalue="000") if code[0] != "2"), ("", "")
    )
    if not step:
        return
    if code == "000":
        failed = [line for line in lines if line.startswith("curl:")]
        raise TailwartError(
            f"the blob store at {store.endpoint} cannot be reached from inside the mailbox's namespace",
            seen=failed[-1] if failed else "no answer",
            expected="an S3 endpoint with its full MagicDNS name and port",
            remedy="check S3_ENDPOINT, and the grant of the tailnet policy from TAG_STALWART to TAG_S3 (lesson 11)",
        )
    said = [line for line in lines if line.startswith("said ")]
    number = list(_S3_STEPS).index(step)
    raise _refused(store, step, code, said[number] if number < len(said) else "")


def _refused(store: S3Store, step: str, code: str, said: str) -> TailwartError:
    words = _S3_SAID.search(said)
    # Stores repeat the key that they do not know.
    shown = ": ".join(words.groups()).replace(store.access_key, "S3_ACCESS_KEY") if words else ""
    meaning, remedy = next(
        ((meaning, remedy) for known, part, meaning, remedy in _S3_MEANING if known == code and part in shown),
        ("the store refuses", "read the store's log"),
    )
    return TailwartError(
        f"the blob store does not serve {store.bucket}",
        seen=f"{step}: HTTP {code}: {meaning.replace('@step', _S3_STEPS[step])}" + (f"\n{shown}" if shown else ""),
        remedy=remedy,
    )


def probe_redis(run: Runner, url: str, owner: str) -> None:
    """Raises TailwartError unless the index is empty or carries `owner` as its mark; an empty one gets the mark."""
    parts = urlsplit(url)
    index = parts.path.strip("/") or "0"
    commands = [["SELECT", index], ["DBSIZE"], ["GET", OWNER_KEY]]
    replies = _redis(run, url, commands)
    selected, size, held = replies[0], replies[1], replies[2]
    if selected.startswith("-"):
        raise TailwartError(
            "Redis does not accept this database index",
            seen=selected.lstrip("-")[:200],
            remedy="check REDIS_URL: its password, and the index after the last slash (0 to 15 by default)",
        )
    count = int(size.removeprefix(":")) if size.startswith(":") else -1
    if held == owner:
        return
    if count != 0:
        raise TailwartError(
            f"index {index} of Redis at {parts.hostname} is in use by something else",
            seen=f"{count} keys" + (f", owned by {held}" if held else ", no mark of this server"),
            expected="an empty index, or one that this server has used before",
            remedy="give REDIS_URL another index (the number after the last slash)",
        )
    _redis(run, url, [["SELECT", index], ["SET", OWNER_KEY, owner]])


def mark_redis(run: Runner, url: str, owner: str) -> None:
    """The index is `owner`'s from now on, unless it carries a mark; raises TailwartError when it is not reached."""
    index = urlsplit(url).path.strip("/") or "0"
    _redis(run, url, [["SELECT", index], ["SETNX", OWNER_KEY, owner]])


def _redis(run: Runner, url: str, commands: list[list[str]]) -> list[str]:
    parts = urlsplit(url)
    login = (
        [["AUTH", *([unquote(parts.username)] if parts.username else []), unquote(parts.password)]]
        if parts.password
        else []
    )
    wire = "".join(_encoded(words) for words in [*login, *commands, ["QUIT"]])
    target = f"{shlex.quote(parts.hostname or '')} {parts.port or 6379}"
    done = run(f"docker exec -i {names.SIDECAR} nc -w 5 {target}", stdin=wire, timeout=60)
    replies = _replies(done.stdout)
    if len(replies) < len(login) + len(commands):
        raise TailwartError(
            f"Redis at {parts.hostname} cannot be reached from inside the mailbox's namespace",
            seen=done.stderr.strip()[-200:] or "no answer",
            expected="a Redis with its full MagicDNS name and port",
            remedy="check REDIS_URL, and the grant of the tailnet policy from TAG_STALWART to TAG_REDIS (lesson 11)",
        )
    return replies[len(login) :]


def _encoded(words: list[str]) -> str:
    """A command as an array of bulk strings (the RESP specification)."""
    return f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)


def _replies(text: str) -> list[str]:
    """Simple strings, errors, integers and bulk strings; a missing value is empty."""
    replies: list[str] = []
    lines = iter(text.replace("\r", "").split("\n"))
    for line in lines:
        if line.startswith("$"):
            replies.append("" if line == "$-1" else next(lines, ""))
        elif line[:1] in ("+", "-", ":"):
            replies.append(line)
    return replies
