"""Who may reach whom: what the policies select and permit, over the pods that are rendered."""

from chart import NAMESPACE, pods, render
from chart_values import AUTOSCALED, EVERYTHING, TRYOUT
from reach import Place, Policies

SERVICES = ("ingest", "inference", "aggregate", "notify")
OUTSIDE = {
    "prometheus": Place({"app": "prometheus"}, "monitoring"),
    "dns": Place({"k8s-app": "kube-dns"}, "kube-system"),
    "stranger": Place({"app.kubernetes.io/component": "nats"}, "elsewhere"),
    "neighbour": Place({"app": "web"}, NAMESPACE),
    "their nats": Place({"app.kubernetes.io/name": "nats"}, "nats"),
    "cameras": Place(address="10.20.3.4"),
    "relay": Place(address="203.0.113.7"),
    "internet": Place(address="198.51.100.1"),
    "metadata": Place(address="169.254.169.254"),
}
POD_PORTS = (("TCP", 8080), ("TCP", 8088), ("TCP", 8090), ("TCP", 8443), ("TCP", 8463))
OTHER_PORTS = (("TCP", 443), ("TCP", 554), ("TCP", 587), ("TCP", 22), ("UDP", 554))
WEB_PORTS = (("TCP", 80), ("TCP", 443), ("TCP", 4222))
PORTS = {
    **dict.fromkeys((*SERVICES, "test", "whip", "camera", "toolbox", "identities"), POD_PORTS),
    "tryout": (*POD_PORTS, ("TCP", 8554), ("TCP", 2525)),
    "nats": (("TCP", 4222), ("TCP", 8222), ("TCP", 6222), ("TCP", 8443)),
    "their nats": (("TCP", 4222),),
    "dns": (("UDP", 53), ("TCP", 53), ("TCP", 443)),
    "prometheus": (("TCP", 4318), ("TCP", 443)),
    **dict.fromkeys(("cameras", "relay"), OTHER_PORTS),
    **dict.fromkeys(("internet", "metadata", "stranger", "neighbour"), WEB_PORTS),
}


def reached(over=None):
    """Every connection that is permitted: (from, to, port)."""
    objects = render(over)
    named = {one["name"]: one["containerPort"] for pod in pods(objects).values() for one in _ports(pod)}
    policies = Policies([one for one in objects.values() if one["kind"] == "NetworkPolicy"], NAMESPACE, named)
    places = OUTSIDE | {name: Place.pod(pod, NAMESPACE) for name, pod in pods(objects).items()}
    return {
        (source, target, port)
        for source, here in places.items()
        for target, there in places.items()
        for protocol, port in PORTS[target]
        if source != target
        if policies.allow(here, there, port, protocol)
    }


def _ports(pod):
    return [port for one in pod["spec"]["containers"] for port in one.get("ports", [])]


def of(found):
    """Those connections in which a service takes part, or the pod of `helm test`: without those to DNS."""
    ours = {*SERVICES, "test", "whip", "camera"}
    return {one for one in found if ours & {*one[:2]} and one[1] != "dns"}


MAX = {
    *((name, "nats", 4222) for name in (*SERVICES, "test")),
    *(("prometheus", name, 8080) for name in SERVICES),
    *((name, "cameras", port) for name in ("ingest", "test") for port in (443, 554)),
    *((name, "relay", port) for name in ("notify", "test") for port in (443, 587)),
}


def test_by_default():
    """ingest reaches cameras, notify its relays, all of them NATS; only monitoring comes in, and only at the probes."""
    found = reached()
    assert of(found) == MAX
    assert {one for one in found if one[1] == "dns" and one[0] in {*SERVICES, "test"}} == {
        (name, "dns", 53) for name in (*SERVICES, "test")
    }


def test_with_everything():
    """What is switched on adds its own way, and no other: traces, delivery reports, the page, the simulated camera."""
    more = {
        *((name, "prometheus", 4318) for name in SERVICES),
        ("prometheus", "notify", 8463),
        ("prometheus", "aggregate", 8088),
        ("ingest", "camera", 8090),
        ("camera", "nats", 4222),
    }
    on_the_node = {one for one in of(reached(EVERYTHING)) if "whip" not in one}
    assert on_the_node == MAX | more


def test_the_try_out():
    """Its cameras are for ingest, its mails from notify; its pod reaches the page and the websocket."""
    found = {one for one in reached(TRYOUT) if {"tryout", "toolbox", "identities"} & {*one[:2]} and one[1] != "dns"}
    looking = ("test", "toolbox")
    known = {*SERVICES, "test", "toolbox"}
    assert {one for one in found if one[1] == "tryout"} == {
        *((name, "tryout", port) for name in ("ingest", *looking) for port in (8554, 8090)),
        *((name, "tryout", 2525) for name in ("notify", *looking)),
    }
    assert {one for one in found if one[0] == "tryout"} == {("tryout", "nats", 8443), ("tryout", "aggregate", 8088)}
    assert not {one for one in found if one[1] in {"toolbox", "identities"} and one[0] not in known}


def test_nobody_reaches_the_monitoring_port_of_nats():
    """It tells of each passage as it is stored, with its time: no policy names it, and it listens on loopback alone."""
    assert not {one for one in reached(EVERYTHING) if one[1:] == ("nats", 8222)}
    without = render({"networkPolicy": {"enabled": False}})
    assert '"http": "127.0.0.1:8222"' in without["ConfigMap/moretta-nats"]["data"]["nats.conf"]
    ports = [one for name in ("nats", "nats-headless") for one in without[f"Service/moretta-{name}"]["spec"]["ports"]]
    assert "monitor" not in {one["name"] for one in ports + _ports(pods(without)["nats"])}


def test_a_server_that_is_there():
    """With NATS elsewhere nobody asks the chart's own."""
    theirs = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nats"}}}]
    found = of(reached(AUTOSCALED | {"networkPolicy": {"nats": theirs}}))
    assert {one for one in found if one[2] == 4222} == {(name, "their nats", 4222) for name in (*SERVICES, "test")}


def test_nobody_is_nobody():
    """An empty list permits nobody, though Kubernetes takes an empty `from` or `to` for everybody."""
    found = reached({"networkPolicy": {"monitoring": [], "dns": []}})
    ours = {*SERVICES, "test"}
    lost = {one for one in reached() if ours & {*one[:2]} and {"prometheus", "dns"} & {*one[:2]}}
    assert of(found) == of(reached()) - lost
    assert not {one for one in found if one[0] in ours and one[1] == "dns"}


def test_the_evaluator_finds_what_is_open():
    """Without policies everything is permitted: what the tests above find is not the evaluator's own."""
    assert ("internet", "ingest", 8443) in reached({"networkPolicy": {"enabled": False}})
