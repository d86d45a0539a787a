"""Servers beside the mail server, inside its namespace: names, an LDAP directory, a fake OpenID Connect provider."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.contract.namespace import Namespace
from tests.waiting import until

Zone = Mapping[tuple[str, str], Sequence[str]]


@dataclass
class Names:
    """A name server: ``zone`` maps (name, type) to values; ``asked`` are the questions, with the DO bit."""

    zone: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    def answer(self, octets: bytes) -> bytes:
        query = dns.message.from_wire(octets)
        response = dns.message.make_response(query, recursion_available=True)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, bool(query.ednsflags & dns.flags.DO)))
        values = self.zone.get((name, kind))
        if values:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *values))
        elif question.name != dns.name.root and not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


@contextmanager
def names(space: Namespace, address: str, zone: Zone) -> Iterator[Names]:
    """A name server on that address for the time of the block."""
    made = Names(dict(zone))
    with space.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((address, 53))

    def serve() -> None:
        while True:
            try:
                octets, asker = server.recvfrom(4096)
            except OSError:
                return
            if not octets:
                return
            server.sendto(made.answer(octets), asker)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        server.close()


_SLAPD = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {home}/pid
database mdb
suffix "dc=example,dc=net"
rootdn "cn=stalwart,dc=example,dc=net"
rootpw {secret}
directory {home}/data
"""
_ENTRIES = """dn: dc=example,dc=net
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=net
objectClass: organizationalUnit
ou: people

dn: uid=dora,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: dora
cn: Dora
sn: Example
mail: dora@example.org
userPassword: {password}
"""


@contextmanager
def slapd(space: Namespace, home: Path, secret: str, password: str) -> Iterator[int]:
    """OpenLDAP with one person, dora; yields its port. LDAP_ROOT is where slapd's package is, where not at /."""
    root = os.environ.get("LDAP_ROOT", "")
    program = shutil.which("slapd", path=f"{root}/usr/sbin:{os.environ['PATH']}")
    assert program, "needs OpenLDAP's server: apt-get install slapd"
    (home / "data").mkdir(parents=True)
    places = {"schema": f"{root}/etc/ldap/schema", "modules": f"{root}/usr/lib/ldap", "home": home, "secret": secret}
    (home / "slapd.conf").write_text(_SLAPD.format(**places))
    libraries = {**os.environ, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu"} if root else dict(os.environ)
    started = space.command(program, "-f", home / "slapd.conf", "-h", "ldap://127.0.0.1:3389", "-d", "0")
    process = subprocess.Popen(started, env=libraries)
    try:

        def listens() -> bool:
            with suppress(OSError):
                space.connect(3389, timeout=2).close()
                return True
            return False

        until(listens, "slapd")
        entries = _ENTRIES.format(password=password)
        add = shutil.which("ldapadd", path=f"{root}/usr/bin:{os.environ['PATH']}")
        assert add, "needs OpenLDAP's tools: apt-get install ldap-utils"
        login = ["-H", "ldap://127.0.0.1:3389", "-x", "-D", "cn=stalwart,dc=example,dc=net", "-w", secret]
        subprocess.run(
            space.command(add, *login), input=entries.encode(), env=libraries, check=True, capture_output=True
        )
        yield 3389
    finally:
        process.terminate()
        process.wait(10)


def _part(value: bytes | dict[str, object]) -> str:
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass
class FakeProvider:
    """What an OpenID Connect provider publishes, and tokens that it has signed."""

    issuer: str
    key: rsa.RSAPrivateKey

    def token(self, **claims: object) -> str:
        now = int(time.time())
        body: dict[str, object] = {"iss": self.issuer, "iat": now, "exp": now + 600, "sub": "1", **claims}
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'one'})}.{_part(body)}"
        return f"{signed}.{_part(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def document(self, path: str) -> dict[str, object] | None:
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                **{f"{name}_endpoint": f"{self.issuer}/{name}" for name in ("authorization", "token", "userinfo")},
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        if path == "/keys":
            numbers = self.key.public_key().public_numbers()
            n, e = (_part(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
            return {"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": n, "e": e}]}
        return None


@contextmanager
def fake_provider(space: Namespace) -> Iterator[FakeProvider]:
    """The fake provider, inside, for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = made.document(self.path)
            self.send_response(200 if document else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document or {}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with space.entered():
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = FakeProvider(
        f"http://127.0.0.1:{server.server_address[1]}", rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
