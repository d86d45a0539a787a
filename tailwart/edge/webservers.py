"""nginx and Apache beside an edge: which lines of theirs have to change before the edge can own :443.

They are not edited: what a line of theirs means depends on includes, macros and modules that only they can read.
"""

from __future__ import annotations

import re

PROGRAMS = frozenset({"nginx", "apache2", "httpd"})

WHERE = r"""nginx='^[[:space:]]*listen[^;#]*[[:space:]:]443[ ;]'
grep -RsnE "$nginx" /etc/nginx/nginx.conf /etc/nginx/conf.d /etc/nginx/sites-enabled
apache='^[[:space:]]*(listen[[:space:]]+([^#]*:)?443([[:space:]]|$)|<VirtualHost[^>]*:443)'
grep -RsnEi "$apache" /etc/apache2/ports.conf /etc/apache2/*-enabled /etc/httpd/conf /etc/httpd/conf.d
:"""
"""Prints file:line:text of each line that names port 443."""

_LINE = re.compile(r"(?P<place>/[^:]+:\d+):\s*(?P<text>.*?)\s*\Z")


def moves(output: str) -> list[str]:
    """What each line that `WHERE` has printed becomes: ``/etc/nginx/sites-enabled/shop:3: OLD → NEW``.

    >>> moves("/etc/nginx/conf.d/shop.conf:3:  listen 443 ssl;")
    ['/etc/nginx/conf.d/shop.conf:3: listen 443 ssl; → listen 127.0.0.1:8443 ssl proxy_protocol;']
    """
    found = []
    for match in filter(None, map(_LINE.match, output.splitlines())):
        text = match["text"]
        found.append(f"{match['place']}: {text} → {_nginx(text) if text.endswith(';') else _apache(text)}")
    return found


def _nginx(text: str) -> str:
    if "[" in text:
        return "(remove: the edge listens on IPv6)"
    moved = re.sub(r"listen\s+(?:\S+:)?443", "listen 127.0.0.1:8443", text)
    # Over QUIC nobody stands between: the edge owns TCP alone.
    if "quic" in text:
        return text
    return moved if "proxy_protocol" in moved else moved.removesuffix(";").rstrip() + " proxy_protocol;"


def _apache(text: str) -> str:
    return re.sub(r"(?i)(listen\s+)(?:\S+:)?443", r"\g<1>127.0.0.1:8443", re.sub(r":443(?=[\s>])", ":8443", text))
