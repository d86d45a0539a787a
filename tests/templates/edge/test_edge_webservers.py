"""nginx and Apache as Debian has them take the lines that the run names, changed as it says."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tailwart.edge import webservers
from tests.contract.namespace import Namespace, namespace
from tests.waiting import until

VISITOR = "2001:db8:7::9"
# PROXY protocol v2 (its specification, section 2.2): TCP over IPv6, 36 bytes of addresses and ports.
HEADER = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24"
    + socket.inet_pton(socket.AF_INET6, VISITOR)
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + (50000).to_bytes(2, "big")
    + (443).to_bytes(2, "big")
)


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with namespace() as made:
        yield made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]
    words = ["-x509", "-batch", *key, "-out", str(path.with_suffix(".crt")), "-days", "2", "-subj", "/CN=shop.example"]
    subprocess.run(["openssl", "req", *words], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture
def site() -> Iterator[Path]:
    """A directory that a web server may read, which those of tests are not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        (Path(name) / "folder").mkdir()
        Path(name).chmod(0o755)
        yield Path(name)


def told(tools: Path) -> list[str]:
    """What the run would say on a host whose programs are these; of this machine's own files it says nothing."""
    path = f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin"
    said = subprocess.run(
        ["sh", "-c", webservers.WHERE], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    return webservers.moves("\n".join(line for line in said.stdout.splitlines() if line.startswith(str(tools))))


def follow(lines: list[str]) -> None:
    """Do what the run has said, to the letter."""
    for line in lines:
        place, _, change = line.partition(": ")
        name, _, number = place.rpartition(":")
        old, _, new = change.partition(" → ")
        text = Path(name).read_text().splitlines()
        assert text[int(number) - 1].strip() == old
        text[int(number) - 1] = "" if new.startswith("(remove") else new
        Path(name).write_text("\n".join(text) + "\n")


def program(tools: Path, name: str, line: str) -> None:
    path = tools / name
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def listening(space: Namespace) -> str:
    return subprocess.run(space.command("ss", "-Hltn"), capture_output=True, text=True, check=True).stdout


@contextmanager
def serving(space: Namespace, *words: str | Path) -> Iterator[None]:
    process = subprocess.Popen(
        space.command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until(lambda: ":8443 " in listening(space), "the web server to listen on 8443", 60, pause=0.1)
        yield
    finally:
        # All of the group: the program may be a child of a script that does not hand a signal on.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def fetch(space: Namespace, path: str, header: bytes = b"") -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = space.connect(8443, timeout=30)
    plain.sendall(header)
    with context.wrap_socket(plain, server_hostname="shop.example") as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: wire.recv(65536), b"")).decode()


def test_nginx_takes_the_lines_that_the_run_names(
    space: Namespace, certificate: Path, tmp_path: Path, site: Path
) -> None:
    (tmp_path / "vhosts").mkdir()
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{\n}}\nhttp {{\n  access_log off;\n"
        f"  include {tmp_path}/vhosts/*.conf;\n}}\n"
    )
    # Not where distributions put their sites: the program itself says which files it reads.
    (tmp_path / "vhosts" / "shop.conf").write_text(
        "server {\n  listen 80;\n  listen [::]:443 ssl;\n  listen 443 ssl default_server;\n"
        f"  server_name shop.example;\n  {tls}\n  root {site};\n"
        "  location = /me { return 200 $remote_addr; }\n}\n"
    )
    (tmp_path / "vhosts" / "other.conf").write_text(
        "# listen 443 ssl;\nserver\n{\n  listen 443 ssl;\n  listen [::]:443 ssl;\n"
        f"  server_name other.example;\n  {tls}\n}}\n"
    )
    program(tmp_path, "nginx", f'exec /usr/sbin/nginx -c {tmp_path}/nginx.conf "$@"')
    program(tmp_path, "apachectl", "exit 1")
    nginx = space.command(tmp_path / "nginx", "-t")
    subprocess.run(nginx, check=True, capture_output=True)

    lines = told(tmp_path)
    assert len(lines) == 5, lines
    assert all(str(tmp_path) in line for line in lines)
    follow(lines)
    after = subprocess.run(nginx, capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stderr
    assert "warn" not in after.stderr
    assert told(tmp_path) == []
    with serving(space, tmp_path / "nginx", "-g", "daemon off;"):
        assert ":443 " not in listening(space)
        assert fetch(space, "/me", HEADER).endswith(VISITOR)
        assert "Location: https://shop.example/folder/\r\n" in fetch(space, "/folder", HEADER)


def test_apache_takes_the_lines_that_the_run_names(
    space: Namespace, certificate: Path, tmp_path: Path, site: Path
) -> None:
    home = tmp_path / "apache2"
    shutil.copytree("/etc/apache2", home, symlinks=True)
    (home / "run").mkdir()
    envvars = (home / "envvars").read_text().replace("/var/run/apache2", str(home / "run"))
    (home / "envvars").write_text(envvars.replace("/var/log/apache2", str(home / "run")))
    (home / "sites-enabled" / "000-default.conf").unlink()
    (home / "sites-enabled" / "shop.conf").write_text(
        f"<VirtualHost 127.0.0.1:443 [::1]:443>\n  ServerName shop.example\n  DocumentRoot {site}\n"
        f"  SSLEngine on\n  SSLCertificateFile {certificate}\n  <Directory {site}>\n    Require all granted\n"
        "  </Directory>\n</VirtualHost>\n"
    )
    program(tmp_path, "apachectl", f'APACHE_CONFDIR={home} exec /usr/sbin/apachectl "$@"')
    program(tmp_path, "nginx", "exit 1")
    for module in ("ssl", "socache_shmcb"):
        for suffix in ("load", "conf"):
            if (home / "mods-available" / f"{module}.{suffix}").exists():
                (home / "mods-enabled" / f"{module}.{suffix}").symlink_to(f"../mods-available/{module}.{suffix}")
    apache = space.command(tmp_path / "apachectl", "-t")
    subprocess.run(apache, check=True, capture_output=True)

    lines = told(tmp_path)
    assert [line.partition(": ")[0].rpartition("/")[2] for line in lines][-1] == "shop.conf:1"
    follow(lines)
    after = subprocess.run(apache, capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stderr
    assert told(tmp_path) == []
    with serving(space, tmp_path / "apachectl", "-DFOREGROUND"):
        assert ":443 " not in listening(space)
        assert "Location: https://shop.example/folder/\r\n" in fetch(space, "/folder")
