"""JSON configurations are given back byte for byte; nginx and Apache are told their own lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.edge import webjson, webservers
from tailwart.errors import TailwartError

addresses = st.sampled_from([":443", ":80", "127.0.0.1:443", "[::1]:443", "tcp/:443", "unix//run/x", "localhost"])
servers = st.dictionaries(
    st.text(max_size=4),
    st.fixed_dictionaries({"listen": st.lists(addresses, max_size=3)}, optional={"logs": st.none()}),
)


@settings(max_examples=200, deadline=None)
@given(servers, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_an_edit_can_be_taken_back_byte_for_byte(found: dict[str, Any], indent: int | str | None, first: bool) -> None:
    http = {"servers": found, "grace_period": 5} if first else {"http_port": 80, "servers": found}
    text = json.dumps({"logging": {}, "apps": {"tls": {}, "http": http}}, indent=indent, ensure_ascii=first)
    moved = webjson.edit(text)
    assert webjson.edited(moved)
    assert webjson.edit(moved) == moved
    assert webjson.restore(moved) == text
    after = json.loads(moved)["apps"]["http"]
    assert after["https_port"] == 8443
    assert not [one for server in after["servers"].values() for one in server["listen"] if one.endswith(":443")]
    for name, server in after["servers"].items():
        assert ("listener_wrappers" in server) == any(one.endswith(":443") for one in found[name]["listen"])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apps": {}}', '{"apps": {"http": {}}}', '{"apps": 1}', "no JSON"])
def test_what_has_no_web_servers_is_left_alone(text: str) -> None:
    assert webjson.edit(text) == text == webjson.restore(text)


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ({"https_port": 443, "servers": {}}, "https_port"),
        ({"servers": {"a": {"listen": [":8443"]}}}, "8443 already"),
        ({"servers": {"a": {"listen": [":443"], "listener_wrappers": []}}}, "listener_wrappers"),
    ],
)
def test_what_could_not_be_put_back_is_refused(http: dict[str, Any], words: str) -> None:
    with pytest.raises(TailwartError, match=words):
        webjson.edit(json.dumps({"apps": {"http": http}}))


REMOVED = "(remove: the edge listens on every address)"


def test_nginx_is_told_its_own_lines() -> None:
    output = """/etc/nginx/nginx.conf:12:http {
/etc/nginx/sites-enabled/shop:2:server {
/etc/nginx/sites-enabled/shop:3:    listen [::]:443 ssl http2 ipv6only=on;
/etc/nginx/sites-enabled/shop:4:    listen 443 ssl http2 default_server reuseport;
/etc/nginx/sites-enabled/shop:5:    listen 443 quic reuseport;
/etc/nginx/conf.d/a.conf:8:server
/etc/nginx/conf.d/a.conf:9:listen 192.0.2.1:443 ssl default_server;
/etc/nginx/conf.d/b.conf:1:server {
/etc/nginx/conf.d/b.conf:2:listen [::]:443 ssl ipv6only=off;
"""
    assert webservers.moves(output) == [
        "/etc/nginx/nginx.conf:12: http { → http { set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; "
        "port_in_redirect off;",
        "/etc/nginx/sites-enabled/shop:4: listen 443 ssl http2 default_server reuseport; → "
        "listen 127.0.0.1:8443 ssl http2 default_server proxy_protocol;",
        f"/etc/nginx/sites-enabled/shop:3: listen [::]:443 ssl http2 ipv6only=on; → {REMOVED}",
        "/etc/nginx/conf.d/a.conf:9: listen 192.0.2.1:443 ssl default_server; → "
        "listen 127.0.0.1:8443 ssl proxy_protocol;",
        "/etc/nginx/conf.d/b.conf:2: listen [::]:443 ssl ipv6only=off; → listen 127.0.0.1:8443 ssl proxy_protocol;",
    ]


def test_what_nginx_says_of_visitors_and_redirects_already_is_left_to_it() -> None:
    output = """/etc/nginx/nginx.conf:12:http {
/etc/nginx/nginx.conf:13:  real_ip_header X-Forwarded-For;
/etc/nginx/nginx.conf:14:  absolute_redirect off;
/etc/nginx/nginx.conf:20:server {
/etc/nginx/nginx.conf:21:listen 443 ssl;
"""
    assert len(webservers.moves(output)) == 1
    assert webservers.moves("/etc/nginx/nginx.conf:12:http {\n/etc/nginx/nginx.conf:20:server {\n") == []


def test_apache_is_told_its_own_lines() -> None:
    output = """/etc/apache2/ports.conf:7:\tListen [::]:443
/etc/apache2/ports.conf:8:\tListen 443 https
/etc/apache2/ports.conf:12:\tListen 443 https
/etc/apache2/sites-enabled/000.conf:1:<VirtualHost *:443>
/etc/apache2/sites-enabled/one.conf:1:<VirtualHost *:80 192.0.2.1:443 [2001:db8::1]:443>
"""
    assert webservers.moves(output) == [
        f"/etc/apache2/ports.conf:7: Listen [::]:443 → {REMOVED}",
        "/etc/apache2/ports.conf:8: Listen 443 https → Listen 127.0.0.1:8443 https",
        "/etc/apache2/ports.conf:12: Listen 443 https → Listen 127.0.0.1:8443 https",
        "/etc/apache2/sites-enabled/000.conf:1: <VirtualHost *:443> → <VirtualHost *:8443>",
        "/etc/apache2/sites-enabled/one.conf:1: <VirtualHost *:80 192.0.2.1:443 [2001:db8::1]:443> → "
        "<VirtualHost *:80 *:8443>",
    ]
