"""`moretta nats-config --kubernetes`: identities as Secrets, public keys as values of the chart (ADR 28)."""

import re

from operate.identities import Kept, KeptHub, Release
from operate.identities.kept import SECRETS, VALUES
from operate.nats.readers import renewal
from operate.nats.where import COMMAND
from services.kernel.settings import SettingsError

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
_RIGHT = "a-z, 0-9 and inner hyphens (RFC 1123)"
_LONGEST = {"--kubernetes": 53, "--namespace": 63}
"""Characters, as Helm and Kubernetes take them."""


def release_of(name: str | None, namespace: str | None, known: Release | None = None) -> Release | None:
    """Return the release that `--kubernetes` and `--namespace` name; without either what was `known`.

    SettingsError for what is no name of Kubernetes', or a namespace of no release.
    """
    if name is None and namespace is None:
        return known
    if name is None and known is None:
        raise SettingsError(COMMAND, [("--namespace", "is the namespace of a release; --kubernetes RELEASE names it")])
    for option, value in (("--kubernetes", name), ("--namespace", namespace)):
        if value is not None and not (_LABEL.match(value) and len(value) <= _LONGEST[option]):
            why = f"{value!r} is no name in Kubernetes: 1-{_LONGEST[option]} of {_RIGHT}, such as 'moretta'"
            raise SettingsError(COMMAND, [(option, why)])
    before = known or Release(name=str(name))
    return Release(name=name or before.name, namespace=namespace or before.namespace)


def steps(kept: Kept | KeptHub, release: Release, done: str, who: str = "") -> list[str]:
    """Return the commands that come next, in the order in which nobody is locked out."""
    where = f" -n {release.namespace}" if release.namespace else ""
    apply = f"kubectl apply{where} -f {kept.folder / SECRETS}   (the seeds: never into git)"
    upgrade = f"helm upgrade --install {release.name}{where} k8s/moretta -f {kept.folder / VALUES} -f YOURS.yaml"
    if isinstance(kept, KeptHub):
        return [apply, upgrade]
    restart = f"kubectl rollout restart{where} deployment,statefulset -l app.kubernetes.io/instance={release.name}"
    services = f"{restart},app.kubernetes.io/component!=nats"
    steps = {
        "rotate": [
            f"{upgrade}   (both keys; the server reads them within two minutes, without a restart)",
            apply,
            *renewal(kept.folder, who, services),
        ],
        "retire": [upgrade],
    }
    return steps.get(done, [apply, upgrade]) + _left_out(kept)


def _left_out(kept: Kept) -> list[str]:
    return [
        f"{name}: its files are not in {kept.folder}, so its Secret is not in {SECRETS}; the one that is there stays"
        for name in kept.elsewhere
    ]
