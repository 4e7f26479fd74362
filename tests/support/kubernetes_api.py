"""Kubernetes' API for Secrets, as far as a Role reaches: what it does not grant is answered 403, as the real one does.

RBAC: https://kubernetes.io/docs/reference/access-authn-authz/rbac/; `resourceNames` never fits a `create`, whose name
the API does not know when it decides. PUT needs the resourceVersion that is in force, or none.
"""

import base64
import json
import ssl
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from authority import Authority, serving

_VERBS = {"GET": "get", "POST": "create", "PUT": "update"}
TOKEN = "eyJ-of-the-account"


class KubernetesApi:
    """Serves the Secrets of one namespace over TLS to one ServiceAccount with these rules of a Role."""

    def __init__(self, folder: Path, namespace: str, rules: Iterable[Mapping[str, Any]]) -> None:
        self.namespace, self.rules = namespace, list(rules)
        self.stored: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, int]] = []
        """Verb, the Secret's name and the answer's status."""
        self.account = folder / "account"
        self.account.mkdir()
        authority = Authority()
        for name, text in (("namespace", namespace), ("token", TOKEN), ("ca.crt", authority.pem.decode())):
            (self.account / name).write_text(text)
        (folder / "api.pem").write_bytes(authority.issue("127.0.0.1"))
        self._context: ssl.SSLContext = serving(folder / "api.pem")

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = False
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def files(self) -> dict[str, dict[str, str]]:
        """What the Secrets hold, by their names, as a pod sees it that mounts them."""
        return {name: files_of(secret) for name, secret in self.stored.items()}

    def grants(self, verb: str, name: str) -> bool:
        """Whether a rule grants this."""
        for rule in self.rules:
            named = rule.get("resourceNames")
            fits = named is None or (verb != "create" and name in named)
            if fits and verb in rule["verbs"] and "secrets" in rule["resources"] and "" in rule["apiGroups"]:
                return True
        return False

    def answer(self, method: str, name: str, token: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        """Return status and body."""
        verb = _VERBS[method]
        wanted = name or str((body or {}).get("metadata", {}).get("name"))
        status, said = (
            self._answer(verb, wanted, body) if token == f"Bearer {TOKEN}" else (401, _status("Unauthorized"))
        )
        self.asked.append((verb, wanted, status))
        return status, said

    def _answer(self, verb: str, name: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        if not self.grants(verb, name):
            return 403, _status(f'secrets "{name}" is forbidden: cannot {verb} in the namespace "{self.namespace}"')
        if verb == "create" and name in self.stored:
            return 409, _status(f'secrets "{name}" already exists')
        if verb != "create" and name not in self.stored:
            return 404, _status(f'secrets "{name}" not found')
        if body is None:
            return 200, self.stored[name]
        version = int(self.stored.get(name, {}).get("metadata", {}).get("resourceVersion", "0"))
        if body["metadata"].get("resourceVersion", str(version)) != str(version):
            return 409, _status("the object has been modified")
        self.stored[name] = _stored(body, version + 1)
        return 201 if verb == "create" else 200, self.stored[name]


def files_of(secret: Mapping[str, Any]) -> dict[str, str]:
    """Return a stored Secret's files."""
    return {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}


def _stored(secret: dict[str, Any], version: int) -> dict[str, Any]:
    data = {name: base64.b64encode(text.encode()).decode() for name, text in secret.get("stringData", {}).items()}
    metadata = secret["metadata"] | {"resourceVersion": str(version)}
    kept = {key: value for key, value in secret.items() if key != "stringData"}
    return kept | {"metadata": metadata, "data": secret.get("data", {}) | data}


def _status(message: str) -> dict[str, Any]:
    return {"kind": "Status", "message": message}


def _handler(api: KubernetesApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            size = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(size)) if size else None
            start = f"/api/v1/namespaces/{api.namespace}/secrets"
            assert self.path.startswith(start), self.path
            name = self.path.removeprefix(start).removeprefix("/")
            status, said = api.answer(self.command, name, self.headers.get("Authorization", ""), body)
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _take  # noqa: N815 -- http.server's names

        def log_message(self, *_words: object) -> None:
            pass

    return Handler
