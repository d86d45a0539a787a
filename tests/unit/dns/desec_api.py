"""A fake API of deSEC, after its documentation (desec.readthedocs.io, "Retrieving and Modifying DNS Records")."""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.rdata
import dns.rdatatype
from flask import Flask, Response, jsonify, request

TOKEN = "token-of-the-tests"
MINIMUM_TTL = 3600

Key = tuple[str, str]


def create_app(zone: str, rrsets: dict[Key, dict[str, Any]], writes: list[list[dict[str, Any]]]) -> Flask:
    """The record sets of one domain; a bulk request is carried out as a whole or not at all."""
    app = Flask(__name__)
    path = f"/api/v1/domains/{zone}/rrsets/"

    @app.before_request
    def authenticated() -> tuple[Response, int] | None:
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return jsonify({"detail": "Invalid token."}), 401
        return None if request.path == path else (jsonify({"detail": "Not found."}), 404)

    @app.get(path)
    def retrieve() -> Response:
        return jsonify([rrsets[key] for key in sorted(rrsets)])

    @app.patch(path)
    def bulk() -> tuple[Response, int]:
        body = request.get_json()
        problems = [_problem(item) for item in body]
        after = dict(rrsets)
        for item in body if not any(problems) else ():
            key = (item["subname"], item["type"])
            if item["records"]:
                after[key] = {**_stored(zone, item), "records": [_canonical(*pair) for pair in _pairs(item)]}
            else:
                after.pop(key, None)
        for name, rtype in after:
            if rtype == "CNAME" and any(other == name and kind != "CNAME" for other, kind in after):
                problems.append({"non_field_errors": ["RRset with conflicting type present."]})
        if any(problems):
            return jsonify(problems), 400
        rrsets.clear()
        rrsets.update(after)
        writes.append(body)
        return jsonify([rrsets[key] for key in sorted(rrsets)]), 200

    return app


def _pairs(item: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["type"], content) for content in item["records"]]


def _problem(item: dict[str, Any]) -> dict[str, list[str]]:
    if item["records"] and int(item["ttl"]) < MINIMUM_TTL:
        return {"ttl": [f"Ensure this value is greater than or equal to {MINIMUM_TTL}."]}
    try:
        [_canonical(*pair) for pair in _pairs(item)]
    except (dns.exception.DNSException, ValueError) as error:
        return {"records": [f"Record content is malformed: {error}"]}
    return {}


def _canonical(rtype: str, content: str) -> str:
    rdata = dns.rdata.from_text("IN", rtype, content, relativize=False)
    if any(not name.is_absolute() for name in (getattr(rdata, at, None) for at in ("target", "exchange")) if name):
        raise ValueError("Hostnames must be fully-qualified (i.e., end in a dot).")
    return rdata.to_text()


def _stored(zone: str, item: dict[str, Any]) -> dict[str, Any]:
    name = f"{item['subname']}.{zone}." if item["subname"] else f"{zone}."
    return {"domain": zone, "subname": item["subname"], "name": name, "type": item["type"], "ttl": int(item["ttl"])}
