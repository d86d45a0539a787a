"""Routes of the policy API: Tailscale's contract for tokens, the policy file, auth keys and devices.

    POST /api/v2/oauth/token                       client credentials, form or Basic → one-hour token
    GET|POST /api/v2/tailnet/{t}/acl               the policy file; ETag, If-Match
    POST /api/v2/tailnet/{t}/acl/validate          a policy or a list of tests; failures come back with status 200
    GET|POST /api/v2/tailnet/{t}/keys              auth keys
    GET /api/v2/tailnet/{t}/keys/{id}
    GET /api/v2/tailnet/{t}/settings               who manages the policy file, and nothing else
    GET /api/v2/tailnet/{t}/devices
    GET|DELETE /api/v2/device/{id}

``{t}`` is ``-`` or the tailnet's name.
Not modelled: warnings in ``details=1`` answers and the preview endpoint.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from flask import Flask, Request, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from lab.control.faults import Faults
from lab.control.policy import hujson
from lab.control.policy.credentials import TOKEN_SECONDS, Caller, Credentials
from lab.control.policy.headscale import Headscale, Refused
from lab.control.policy.keys import KeyRegistry
from lab.control.policy.machines import device
from lab.control.policy.store import PolicyStore, Rejected, etag

P = ParamSpec("P")

_MESSAGES = {
    401: "API token invalid",
    403: "calling actor does not have enough permissions to perform this function",
    404: "not found",
    412: "precondition failed, invalid old hash",
    429: "rate limit exceeded",
    500: "internal server error",
}


def error_document(status: int) -> tuple[str, bytes]:
    """The API's error document for `status`, for faults: (content type, body)."""
    return "application/json", json.dumps({"message": _MESSAGES.get(status, "error")}).encode()


def create_app(
    headscale: Headscale,
    credentials: Credentials,
    tailnets: frozenset[str] = frozenset({"tailnet.test"}),
    token: str = "",
) -> Faults:
    """The WSGI application with its fault layer; `token` opens the administration of faults."""
    app = Flask("lab.control.policy")
    guard = _Guard(credentials, tailnets | {"-"})

    @app.url_value_preprocessor
    def take_tailnet(_endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.tailnet = (values or {}).pop("tailnet", "-")

    @app.post("/api/v2/oauth/token")
    def oauth_token() -> Response:
        basic = request.authorization
        identity = request.form.get("client_id") or (basic.username if basic else None) or ""
        secret = request.form.get("client_secret") or (basic.password if basic else None) or ""
        minted = credentials.token(identity, secret, request.form.get("scope", ""))
        if minted is None:
            return _error(401)
        document = {"access_token": minted[0], "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return jsonify(document | {"scope": " ".join(sorted(minted[1]))})

    _policy_file(app, guard, PolicyStore(headscale))
    _keys(app, guard, KeyRegistry(headscale, credentials))
    _devices(app, guard, headscale)

    @app.errorhandler(Rejected)
    def rejected(rejection: Rejected) -> tuple[Response, int]:
        return jsonify(rejection.document), 400

    @app.errorhandler(Refused)
    def refused(refusal: Refused) -> tuple[Response, int]:
        return jsonify({"message": str(refusal)}), 500

    @app.errorhandler(HTTPException)
    def failed(problem: HTTPException) -> Response:
        return _error(problem.code or 500)

    return Faults(app, error_document, token)


class _Guard:
    """Authentication, scope and tailnet, in the order in which the API checks them."""

    def __init__(self, credentials: Credentials, tailnets: frozenset[str]) -> None:
        self._credentials = credentials
        self._tailnets = tailnets

    def __call__(self, scope: str, *, write: bool = False) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
        def decorate(view: Callable[P, Response]) -> Callable[P, Response]:
            @wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
                caller = self._credentials.caller(_token(request))
                if caller is None:
                    return _error(401)
                if not caller.may(scope, write):
                    return _error(403)
                if g.tailnet not in self._tailnets:
                    return _error(404)
                g.caller = caller
                return view(*args, **kwargs)

            return guarded

        return decorate


def _policy_file(app: Flask, guard: _Guard, store: PolicyStore) -> None:
    writing = threading.Lock()

    @app.get("/api/v2/tailnet/<tailnet>/acl")
    @guard("policy_file")
    def read_policy() -> Response:
        return _policy(store.text())

    @app.post("/api/v2/tailnet/<tailnet>/acl")
    @guard("policy_file", write=True)
    def write_policy() -> Response:
        text = request.get_data().decode()
        with writing:
            if (expected := request.headers.get("If-Match")) and expected.strip('"') != etag(store.text()).strip('"'):
                return _error(412)
            store.put(text)
        return _policy(text)

    @app.get("/api/v2/tailnet/<tailnet>/settings")
    @guard("policy_file")
    def read_settings() -> Response:
        return jsonify({"aclsExternallyManagedOn": False, "aclsExternalLink": ""})

    @app.post("/api/v2/tailnet/<tailnet>/acl/validate")
    @guard("policy_file")
    def validate_policy() -> Response:
        text = request.get_data().decode()
        try:
            document = hujson.parse(text)
            if isinstance(document, list):
                store.check(store.text(), tests=document)
            else:
                store.check(text)
        except hujson.SyntaxProblem as problem:
            return jsonify({"message": str(problem)})
        except Rejected as rejection:
            return jsonify(rejection.document)
        return jsonify({})


def _keys(app: Flask, guard: _Guard, keys: KeyRegistry) -> None:
    @app.get("/api/v2/tailnet/<tailnet>/keys")
    @guard("auth_keys")
    def list_keys() -> Response:
        return jsonify({"keys": keys.list()})

    @app.get("/api/v2/tailnet/<tailnet>/keys/<identity>")
    @guard("auth_keys")
    def read_key(identity: str) -> Response:
        key = keys.get(identity)
        return _error(404) if key is None else jsonify(key)

    @app.post("/api/v2/tailnet/<tailnet>/keys")
    @guard("auth_keys", write=True)
    def create_key() -> Response:
        caller: Caller = g.caller
        return jsonify(keys.create(request.get_json(force=True), caller.client))


def _devices(app: Flask, guard: _Guard, headscale: Headscale) -> None:
    @app.get("/api/v2/tailnet/<tailnet>/devices")
    @guard("devices:core")
    def list_devices() -> Response:
        return jsonify({"devices": [device(node) for node in headscale.nodes()]})

    @app.get("/api/v2/device/<identity>")
    @guard("devices:core")
    def read_device(identity: str) -> Response:
        found = [device(node) for node in headscale.nodes() if node.id == identity]
        return jsonify(found[0]) if found else _error(404)

    @app.delete("/api/v2/device/<identity>")
    @guard("devices:core", write=True)
    def delete_device(identity: str) -> Response:
        if not any(node.id == identity for node in headscale.nodes()):
            return _error(404)
        headscale.delete_node(identity)
        return jsonify({})


def _token(incoming: Request) -> str:
    """Bearer token, or the user name of Basic authentication."""
    if incoming.authorization is None:
        return ""
    return incoming.authorization.token or incoming.authorization.username or ""


def _policy(text: str) -> Response:
    """As HuJSON with its comments when asked for, otherwise as JSON without them."""
    if "application/hujson" in request.headers.get("Accept", ""):
        answer = Response(text.encode(), content_type="application/hujson")
    else:
        answer = jsonify(hujson.parse(text))
    answer.headers["ETag"] = etag(text)
    return answer


def _error(status: int) -> Response:
    content_type, content = error_document(status)
    return Response(content, status, content_type=content_type)
