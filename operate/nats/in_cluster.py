"""`moretta nats secrets`: makes the Secrets of a release's identities, from a pod of its namespace (ADR 49).

The chart's hook runs it. It asks Kubernetes' API with the pod's own ServiceAccount, for Secrets by their names:
https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/. The official client brings 30 MB for three
requests.
"""

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operate.identities.cluster_secrets import WantedRelease, completed
from operate.identities.kubernetes import Release, Values
from services.kernel.settings import SettingsError

COMMAND = "moretta nats secrets"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod has its ServiceAccount's token, its namespace and the CA of Kubernetes' API."""
_TIMEOUT_S = 20.0


class ApiError(Exception):
    """Kubernetes' API refused a request, or did not answer."""


@dataclass(frozen=True)
class Api:
    """The Secrets of the pod's own namespace. Every request raises ApiError if it fails."""

    server: str
    namespace: str
    token: str
    trusted: ssl.SSLContext | None

    @classmethod
    def of_pod(cls) -> "Api":
        """Return the API of the cluster in which this runs; SettingsError outside of a pod."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            why = "KUBERNETES_SERVICE_HOST is not set: this is for a pod; outside, `moretta nats apply DIR` makes keys"
            raise SettingsError(COMMAND, [("", why)])
        host = f"[{host}]" if ":" in host else host
        try:
            namespace, token = ((ACCOUNT / name).read_text(encoding="utf-8").strip() for name in ("namespace", "token"))
            trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
            # CAs of some clusters have no key identifier, which Python demands from 3.13 on.
            trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
        except OSError as error:
            raise SettingsError(
                ACCOUNT, [("", f"{error.strerror}; the pod needs its ServiceAccount's token")]
            ) from None
        return cls(f"https://{host}:{port}", namespace, token, trusted)

    def get(self, name: str) -> Values | None:
        """Return a Secret; None if there is none."""
        found: Values | None = self._ask("GET", name, None, absent=404)
        return found

    def put(self, secret: Values, *, new: bool) -> None:
        """Write a Secret: a new one, or over the one that was read."""
        self._ask("POST" if new else "PUT", "" if new else secret["metadata"]["name"], secret)

    def _ask(self, method: str, name: str, body: Values | None, *, absent: int = 0) -> Any:
        path = f"/api/v1/namespaces/{self.namespace}/secrets" + (f"/{name}" if name else "")
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server}{path}", data, headers, method=method)  # noqa: S310 -- https
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self.trusted) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == absent:
                    return None
                raise ApiError(f"{method} {path}: {_why(error)}") from None
        except (OSError, ValueError) as error:
            raise ApiError(f"{method} {path}: {error}") from None


def _why(error: urllib.error.HTTPError) -> str:
    """Return what the API says of a refusal: the message of its `Status`, where it sent one."""
    try:
        message = json.loads(error.read(65_536)).get("message")
    except (OSError, ValueError, AttributeError):
        message = None
    return f"{error.code} {message or error.reason}"


def make(api: Api, wanted: WantedRelease) -> list[str]:
    """Make the Secrets that are missing, or complete them; returns a line for each.

    ApiError for a request that failed, SettingsError for a Secret without a key.
    """
    found = {name: api.get(f"{wanted.release}-{name}") for name in wanted.names()}
    there = {name: _files(secret) for name, secret in found.items() if secret is not None}
    release, lines = Release(name=wanted.release), []
    for name, files in completed(there, wanted).items():
        before = found[name]
        api.put(release.secret(name, files) if before is None else _with(before, files), new=before is None)
        lines.append(f"{'completed' if before else 'made'} Secret {wanted.release}-{name}")
    return lines or ["every Secret is there"]


def _files(secret: Values) -> dict[str, str]:
    """Return a Secret's files; what is no text, as other people's may be, is of no interest here."""
    return {name: base64.b64decode(text).decode(errors="replace") for name, text in (secret.get("data") or {}).items()}


def _with(secret: Values, files: dict[str, str]) -> Values:
    """Return a Secret as it was read, with these files in it."""
    data = {file: base64.b64encode(text.encode()).decode() for file, text in files.items()}
    return secret | {"data": (secret.get("data") or {}) | data}
