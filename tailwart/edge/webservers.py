r"""nginx and Apache beside an edge: which lines of theirs have to change before the edge can own :443.

They are not edited: a configuration that somebody keeps by hand, or a panel writes, is changed by whoever keeps it.
Each program is asked itself which files it reads. What a line becomes depends on those around it: one address on
loopback takes the place of all public ones, and may be named once.

>>> moves("/etc/nginx/conf.d/shop.conf:2:server {\n/etc/nginx/conf.d/shop.conf:3:  listen 443 ssl;")
['/etc/nginx/conf.d/shop.conf:3: listen 443 ssl; → listen 127.0.0.1:8443 ssl proxy_protocol;']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PROGRAMS = frozenset({"nginx", "apache2", "httpd"})

WHERE = r"""
nginx='^[[:space:]]*(listen[^;#]*[[:space:]:]443[ ;]|(server|http)[[:space:]]*([{]|$)'
nginx="$nginx|(port_in_redirect|absolute_redirect|real_ip_header)[[:space:]])"
dump=$(nginx -T 2>/dev/null) && printf '%s\n' "$dump" | awk '
  /^# configuration file .*:$/ { sub(/^# configuration file /, ""); sub(/:$/, ""); file = $0; line = 0; next }
  { line++; print file ":" line ":" $0 }' | grep -E "^[^:]+:[0-9]+:${nginx#?}" ||
grep -RsnE "$nginx" /etc/nginx/nginx.conf /etc/nginx/conf.d /etc/nginx/sites-enabled
apache='^[[:space:]]*(listen[[:space:]]+([^#]*:)?443([[:space:]]|$)|<VirtualHost[^>]*:443)'
read=$(apachectl -t -D DUMP_INCLUDES 2>/dev/null | sed -n 's/^ *([^)]*) //p')
if [ -n "$read" ]; then printf '%s\n' "$read" | tr '\n' '\0' | xargs -0 grep -sHnEi "$apache"
else grep -RsnEi "$apache" /etc/apache2/ports.conf /etc/apache2/*-enabled /etc/httpd/conf /etc/httpd/conf.d; fi
:"""
"""Prints file:line:text of each line that names port 443, and of nginx those that begin a server or say where a visitor
comes from: as the programs themselves read their files, else from where distributions put them."""

_LINE = re.compile(r"(?P<place>/[^:]+:\d+):\s*(?P<text>.*?)\s*\Z")
_FLAGS = ("ssl", "http2", "default_server")
"""What a `listen` of nginx keeps: anything else belongs to the socket that it no longer opens."""
_HTTP = (
    ("real_ip_header", "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;"),
    ("_redirect", "port_in_redirect off;"),
)
"""What nginx has to know besides, by the setting that says somebody has thought of it."""


@dataclass(frozen=True, slots=True)
class _Line:
    place: str
    text: str

    def becomes(self, text: str) -> str:
        return f"{self.place}: {self.text} → {text}"


def moves(output: str) -> list[str]:
    """What each line that `WHERE` has printed becomes: ``/etc/nginx/sites-enabled/shop:3: OLD → NEW``."""
    found = [_Line(match["place"], match["text"]) for match in map(_LINE.match, output.splitlines()) if match]
    apache = [line for line in found if re.match(r"(?i)listen[^;]*\Z|<VirtualHost", line.text)]
    return [*_nginx([line for line in found if line not in apache]), *_apache(apache)]


def _nginx(lines: list[_Line]) -> Iterator[str]:
    if not any(_opens(line) for line in lines):
        return
    default = False
    text = " ".join(line.text for line in lines)
    for line in lines:
        if re.match(r"http\b", line.text) and (more := " ".join(add for key, add in _HTTP if key not in text)):
            yield line.becomes(f"{line.text} {more}" if line.text.endswith("{") else f"add in its block: {more}")
    for server in _servers(lines):
        for number, line in enumerate(server):
            if number:
                yield line.becomes("(remove: the edge listens on every address)")
                continue
            flags = [flag for flag in _FLAGS if re.search(rf"\b{flag}\b", line.text)]
            if default and "default_server" in flags:
                flags.remove("default_server")
            default |= "default_server" in flags
            yield line.becomes(" ".join(["listen 127.0.0.1:8443", *flags, "proxy_protocol;"]))


def _servers(lines: list[_Line]) -> Iterator[list[_Line]]:
    """The lines of each server that open TCP 443, IPv4 first. Over QUIC nobody stands between: those lines stay."""
    server: list[_Line] = []
    for line in [*lines, _Line("", "server {")]:
        if re.match(r"server\b", line.text):
            yield sorted(server, key=lambda each: "[" in each.text)
            server = []
        elif _opens(line):
            server.append(line)


def _opens(line: _Line) -> bool:
    return line.text.startswith("listen") and not re.search(r"\bquic\b", line.text)


def _apache(lines: list[_Line]) -> Iterator[str]:
    listens = sorted({line.text for line in lines if not line.text.startswith("<")}, key=lambda text: "[" in text)
    for line in lines:
        if line.text.startswith("<"):
            addresses = re.sub(r"(?:\[[^]]*\]|[^\s\[\]]+):443(?=[\s>])", "*:8443", line.text)
            yield line.becomes(re.sub(r"(\*:8443)(?: \*:8443)+", r"\1", addresses))
        elif line.text == listens[0]:
            yield line.becomes(re.sub(r"(?i)(listen\s+)(?:\S+:)?443", r"\g<1>127.0.0.1:8443", line.text))
        else:
            yield line.becomes("(remove: the edge listens on every address)")
