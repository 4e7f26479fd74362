"""An Ingress and an HTTPRoute of the page: what they route, and what is refused since browsers would get no numbers."""

import pytest
from chart import CHART, NAMESPACE, RELEASE, delta, given, helm, merged, refusal, render
from chart_values import AUTOSCALED, PAGE, TLS

HOST = "numbers.example.org"
INGRESS = {"page": {"ingress": {"enabled": True, "host": HOST}}}
ROUTE = {"page": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": [HOST]}}}
PATH = merged(PAGE, {"page": {"websocket": "/nats"}})
ELSEWHERE = merged(AUTOSCALED, PAGE | {"nats": {}, "page": {"enabled": True, "websocket": "wss://masks.example.org"}})
THE_PAGE, THE_NUMBERS = ("moretta-page", "page", 8088), ("moretta-nats", "websocket", 8443)


def routed(objects):
    """What both route, by their kind: a path, whether it is exact, and the Service with its port."""
    [rule] = objects["Ingress/moretta-page"]["spec"]["rules"]
    ingress = {
        (one["path"], one["pathType"]): (one["backend"]["service"]["name"], one["backend"]["service"]["port"]["name"])
        for one in rule["http"]["paths"]
    }
    route = {}
    for one in objects["HTTPRoute/moretta-page"]["spec"]["rules"]:
        [match], [backend] = one["matches"], one["backendRefs"]
        assert (match.keys(), backend.keys(), one.keys()) == ({"path"}, {"name", "port"}, {"matches", "backendRefs"})
        route[match["path"]["value"], match["path"]["type"]] = (backend["name"], backend["port"])
    return ingress, route


@pytest.mark.parametrize(
    ("websocket", "path"), [("/nats", "/nats"), ("./nats", "/nats"), ("/a/b/", "/a/b/"), ("wss://a.example.org", None)]
)
def test_both_route_the_same(websocket, path):
    """All of the host to the page, and the path at which it looks for NATS to NATS; an address is somebody else's."""
    objects = render(merged(PAGE, merged(merged(INGRESS, ROUTE), {"page": {"websocket": websocket}})))
    ingress, route = routed(objects)
    page, numbers = THE_PAGE, THE_NUMBERS
    assert ingress == {("/", "Prefix"): page[:2]} | ({(path, "Exact"): numbers[:2]} if path else {})
    assert route == {("/", "PathPrefix"): page[::2]} | ({(path, "Exact"): numbers[::2]} if path else {})
    for name, port, number in (page, numbers):
        ports = objects[f"Service/{name}"]["spec"]["ports"]
        assert [one["port"] for one in ports if one["name"] == port] == [number]


def test_they_are_off_by_default_and_add_nothing_else():
    """Each is one object more, which names the host and what answers for its TLS."""
    assert not {"Ingress/moretta-page", "HTTPRoute/moretta-page"} & render(PAGE).keys()
    assert delta(INGRESS, base=PATH) == {"Ingress/moretta-page": "new"}
    assert delta(ROUTE, base=PATH) == {"HTTPRoute/moretta-page": "new"}
    more = {"className": "nginx", "annotations": {"a/b": "c"}, "tlsSecret": "numbers-tls"}
    ingress = render(merged(PATH, merged(INGRESS, {"page": {"ingress": more}})))["Ingress/moretta-page"]
    assert ingress["metadata"]["annotations"] == {"a/b": "c"}
    assert ingress["spec"].keys() == {"ingressClassName", "tls", "rules"}
    assert (ingress["spec"]["ingressClassName"], ingress["spec"]["rules"][0]["host"]) == ("nginx", HOST)
    assert ingress["spec"]["tls"] == [{"hosts": [HOST], "secretName": "numbers-tls"}]
    assert render(merged(PATH, INGRESS))["Ingress/moretta-page"]["spec"]["tls"] == [{"hosts": [HOST]}]


def test_a_route_names_its_gateways():
    """`gateway.networking.k8s.io/v1`, with these fields and no others."""
    parents = [{"name": "public", "namespace": "gateways", "sectionName": "https"}]
    more = {"parentRefs": parents, "annotations": {"a/b": "c"}}
    route = render(merged(PATH, merged(ROUTE, {"page": {"httpRoute": more}})))["HTTPRoute/moretta-page"]
    assert (route["apiVersion"], route.keys()) == (
        "gateway.networking.k8s.io/v1",
        {"apiVersion", "kind", "metadata", "spec"},
    )
    assert (route["spec"].keys(), route["spec"]["parentRefs"]) == ({"parentRefs", "hostnames", "rules"}, parents)
    assert (route["spec"]["hostnames"], route["metadata"]["annotations"]) == ([HOST], {"a/b": "c"})


@pytest.mark.parametrize(("over", "protocol"), [(PAGE, "ws"), (merged(PAGE, TLS), "wss")])
def test_the_services_port_says_what_it_speaks(over, protocol):
    """By `appProtocol` a Gateway knows that connections to it are upgraded, and to what."""
    ports = render(over)["Service/moretta-nats"]["spec"]["ports"]
    assert [one["appProtocol"] for one in ports if one["name"] == "websocket"] == [f"kubernetes.io/{protocol}"]


def over(base, *more):
    """Values with these over them."""
    for one in more:
        base = merged(base, one)
    return base


def page(**more):
    return {"page": more}


REFUSED = {
    "page.ingress.enabled is true, and page.enabled is false, so that there is no page; set page.enabled:"
    " true": INGRESS,
    "page.httpRoute.enabled is true, and page.enabled is false, so that there is no page; set page.enabled:"
    " true": ROUTE,
    "page.ingress.enabled is true, and page.ingress.host is empty; set the name at which browsers find the page, such"
    " as numbers.example.org": over(PATH, page(ingress={"enabled": True})),
    "page.httpRoute.enabled is true, and page.httpRoute.parentRefs is empty; set the Gateway, such as [{name: public,"
    " namespace: gateways}]": over(PATH, ROUTE, page(httpRoute={"parentRefs": []})),
    "page.httpRoute.enabled is true, and page.httpRoute.hostnames is empty; set the names at which browsers find the"
    " page, such as [numbers.example.org]": over(PATH, ROUTE, page(httpRoute={"hostnames": []})),
    "page.websocket is ./, where the page itself is; set another path, such as /nats": over(
        PAGE, INGRESS, page(websocket="./")
    ),
    "page.websocket is /nats, and nats.enabled is false, so that the chart has no Service for that path; set where"
    " browsers find your NATS server, such as wss://masks.example.org": over(
        ELSEWHERE, INGRESS, page(websocket="/nats")
    ),
    "page.websocket is /nats, and nats.tls.enabled is true, so that NATS's websocket speaks TLS, which Ingress and"
    " HTTPRoute do not speak to a backend by themselves; set page.websocket to a whole address, such as"
    " wss://masks.example.org, and route that yourself": over(PATH, ROUTE, TLS),
    "page.websocket is ws://masks.example.org, which browsers do not open from a page that came by TLS; set a wss://"
    " address, or a path such as /nats": over(PAGE, INGRESS, page(websocket="ws://masks.example.org")),
    "page.websocket is wss://numbers.example.org:443/nats, and page.ingress.host is that host, of which the chart"
    " routes only the page and a path; set page.websocket to the path alone, such as /nats": over(
        PAGE, INGRESS, page(websocket="wss://numbers.example.org:443/nats")
    ),
    "page.httpRoute.hostnames[1] is b.example.org, and nats.websocket.origins has no https://b.example.org, so that"
    " NATS lets no browser in from there; add it": over(
        PATH, ROUTE, page(httpRoute={"hostnames": [HOST, "b.example.org"]})
    ),
    "page.ingress.tlsSecret is Numbers, and a Secret's name has a-z, 0-9, - and . alone; set the name of the"
    " Secret": over(PATH, INGRESS, page(ingress={"tlsSecret": "Numbers"})),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_it_is_refused(sentence):
    """With the whole sentence, and nothing else."""
    assert refusal(REFUSED[sentence]) == sentence


ACCEPTED = {
    "NATS of one's own, at an address of its own": over(ELSEWHERE, INGRESS, ROUTE),
    "NATS with TLS at another host": over(PAGE, TLS, INGRESS),
    "NATS with TLS at the same host, for which somebody else routes": over(
        PAGE, TLS, INGRESS, page(websocket=f"wss://{HOST}/nats")
    ),
    "another port of the same host": over(PAGE, INGRESS, page(websocket=f"wss://{HOST}:8443")),
    "an origin with a port": over(
        PATH, INGRESS, {"nats": {"websocket": {"origins": [f"https://{HOST}:8443", "https://a.example.org"]}}}
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_its_neighbour_is_accepted(name):
    """What is next to what is refused."""
    assert "Ingress/moretta-page" in render(ACCEPTED[name])


def test_values_of_an_earlier_version():
    """`helm upgrade --reuse-values` lacks what is new: it is refused by name, and not with a line of Go."""
    values = given(PAGE)
    values["page"] = values["page"] | {"ingress": None, "httpRoute": None}
    done = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=values)
    assert {name for name in ("ingress", "httpRoute") if name in done.stderr} == {"ingress", "httpRoute"}
    assert "nil pointer" not in done.stderr


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("host", {"ingress": {"host": "https://numbers.example.org"}}),
        ("hostnames", {"httpRoute": {"hostnames": ["*.example.org"]}}),
        ("parentRefs", {"httpRoute": {"parentRefs": [{"gateway": "public"}]}}),
    ],
)
def test_the_schema_refuses(name, more):
    """An address in the place of a host, a host that no origin can be, a gateway without a name."""
    assert name in refusal({"page": more})
