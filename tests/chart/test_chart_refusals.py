"""What does not go together is refused with a sentence that says what to set; what that asks for is accepted."""

import pytest
from chart import merged, refusal, render, seed
from chart_values import AUTOSCALED, EVERYTHING, NODES, PAGE, PHONE, SMS

from services.kernel.settings import SECRETS

SECRET = "/etc/moretta/secrets/x"
CAMERA = {"id": "hall-1", "url_file": SECRET}
WHIP = {"whip": {"enabled": True}, "nats": {"clients": NODES}}
WEB = {"settings": {"ingest": {"web": {}}}}


def site(*cameras, **more):
    """Settings with one site and these cameras."""
    return {"settings": {"sites": [{"id": "forville", "cameras": list(cameras)} | more]}}


def both(*overs):
    """One set of values over another."""
    found = {}
    for over in overs:
        found = merged(found, over)
    return found


def policy(**more):
    return {"networkPolicy": more}


def notify(**more):
    return {"settings": {"notify": more}}


def hook(**more):
    """Settings with one receiver, who has this webhook."""
    return notify(receivers=[{"id": "a", "webhooks": [more]}])


HUB = {"nats": {"hub": {"enabled": True}, "keys": {"streams": [seed("streams").public], "page": None}}}
"""A hub, which has no user of the page's."""
REFUSED = {
    "image.registry is empty; set the registry that has the images which `make images` builds, such as"
    " registry.example.org/moretta": {"image": {"registry": ""}},
    "settings.sites is empty; give the content of a settings file, as docs/site.example.yaml is one, under"
    " `settings`": {"settings": {"sites": []}},
    "settings.nats is given, and the chart sets that itself; remove it, and set nats.enabled, or nats.url for a server"
    " that is there": {"settings": {"nats": {"url": "nats://a"}}},
    "settings.probes is given, and the chart sets that itself; remove it, and set nothing: they are on port 8080 of"
    " each pod": {"settings": {"probes": {"port": 9090}}},
    "settings.sealing is given, and the chart sets that itself; remove it, and set identitySecret of ingest and"
    " inference": {"settings": {"sealing": {"verify_key_file": SECRET}}},
    "settings.tracing is given, and the chart sets that itself; remove it, and set tracing.endpoint": {
        "settings": {"tracing": {"endpoint": "http://a"}}
    },
    "settings.aggregate.replica is one name for all pods, and two that run at the same time must not share one; remove"
    " it": {"settings": {"aggregate": {"replica": "a"}}},
    "names would begin with 2026-masks, and a Service's name has a-z, 0-9 and -, a letter first; set fullnameOverride"
    " to such a name": {"fullnameOverride": "2026-masks"},
    # Secrets and files.
    "settings.notify.smtp.password is a secret, and values are no place for one; put it into the Secret"
    " notify.existingSecret, and set settings.notify.smtp.password_file: /etc/moretta/secrets/NAME instead": notify(
        smtp={"password": "x", "password_file": None}
    ),
    "settings.sites[0].cameras[0].url holds a user or a password, and values are no place for one; put the whole URL"
    " into the Secret ingest.existingSecret, and set url_file: /etc/moretta/secrets/NAME instead; of a camera, user and"
    " password_file beside url are enough": site({"id": "a", "url": "rtsp://u:p@10.20.0.5/s"}),
    "settings.notify.receivers[0].webhooks[0].url holds a user or a password, and values are no place for one; put the"
    " whole URL into the Secret notify.existingSecret, and set url_file: /etc/moretta/secrets/NAME instead": hook(
        url="https://hooks.example.org/a?x=1&api_token=0123456789abcdef"
    ),
    "settings.notify.salt_file is /run/secrets/salt, which no pod has; the files of the Secret notify.existingSecret "
    "are below /etc/moretta/secrets, others where notify.extraVolumeMounts says": notify(salt_file="/run/secrets/salt"),
    f"settings.sites[0].cameras[0].url_file is {SECRET}, and ingest.existingSecret is empty; set it to the Secret that"
    " has this file": both(site(CAMERA), {"ingest": {"existingSecret": ""}}),
    "settings.ingest.web.certificate_dir names a folder to write to, and pods have none; set certificate and key of"
    " settings.ingest.web instead, or none of them": both(
        WHIP, site(PHONE), {"settings": {"ingest": {"web": {"certificate_dir": "/var/lib/moretta"}}}}
    ),
    "settings.notify.receivers[0].webhooks[0].url_file is empty; set it to a file of the Secret notify.existingSecret,"
    " /etc/moretta/secrets/NAME, or remove it": hook(url_file=None),
    "settings.notify.smtp.password_file is /etc/moretta/secrets/, which no pod has; the files of the Secret"
    " notify.existingSecret are below /etc/moretta/secrets, others where notify.extraVolumeMounts says": notify(
        smtp={"password_file": "/etc/moretta/secrets/"}
    ),
    "ingest.existingSecret is Moretta_Cameras, and a Secret's name has a-z, 0-9, - and . alone; set the name of the"
    " Secret": {"ingest": {"existingSecret": "Moretta_Cameras"}},
    # What Kubernetes itself would refuse.
    "networkPolicy.cameras.cidrs[1] is 10.20.0.5, which is no network; set one with its mask, such as 10.20.0.0/16, or"
    " 10.20.0.5/32 for one machine": policy(cameras={"cidrs": ["fd00::/8", "10.20.0.5"]}),
    "networkPolicy.relays.cidrs[0] is mail.example.org, which is no network; set one with its mask, such as"
    " 10.20.0.0/16, or 10.20.0.5/32 for one machine": policy(relays={"cidrs": ["mail.example.org"]}),
    "ingest.resources.limits.memory is 512Mi, less than what is asked for in requests, 1Gi; set it higher, or the other"
    " lower": {"ingest": {"resources": {"limits": {"memory": "512Mi"}}}},
    "notify.resources.limits.cpu is 0.05, less than what is asked for in requests, 100m; set it higher, or the other"
    " lower": {"notify": {"resources": {"limits": {"cpu": 0.05}}}},
    "whip.resources.limits.memroy is unknown; known are cpu, memory, ephemeral-storage, and what a device plugin"
    " names": {"whip": {"resources": {"limits": {"memroy": "1Gi"}}}},
    "tests.resources.limit is unknown; known are requests, limits and claims": {"tests": {"resources": {"limit": {}}}},
    "aggregate.resources.requests.memory is 1GB, which is no quantity; set one such as 500m or 1Gi": {
        "aggregate": {"resources": {"requests": {"memory": "1GB"}}}
    },
    # Cameras.
    "settings.sites[0].cameras[0].url is a file or a device, which no pod has; set an rtsp(s):// or http(s)://"
    " address": site({"id": "a", "url": "/dev/video0"}),
    "settings.sites[0].cameras[1].url has port 8554, to which ingest may not connect; add it to"
    " networkPolicy.cameras.ports": site(CAMERA, {"id": "a", "url": "rtsp://10.20.0.5:8554/s"}),
    "settings.sites[0].cameras[0].decoder is cuda, and ingest.gpu.count is 0; set it to 1, or decode by software": site(
        {**CAMERA, "decoder": "cuda"}
    ),
    "networkPolicy.cameras.cidrs is empty, so that ingest reaches no camera; set the networks of your cameras, such as"
    " [10.20.0.0/16]": policy(cameras={"cidrs": []}),
    # WHIP.
    "settings.sites[0].cameras[0].url is whip://, and whip.enabled is false; set whip.enabled: true, or remove the"
    " camera": both(WEB, site(PHONE)),
    "whip.hostNetwork is false, and Moretta knows no TURN server: a peer must reach the pod itself, on any UDP port; "
    "set whip.hostNetwork: true, or whip.enabled: false": both(
        WHIP, WEB, site(PHONE), {"whip": {"hostNetwork": False}}
    ),
    "whip.enabled is true, and no camera of settings.sites has the url whip://; give one that and a token_file, or set"
    " whip.enabled: false": both(WHIP, WEB),
    "whip.enabled is true, and settings.ingest.web is missing; set settings.ingest.web: {port: 8443}": both(
        WHIP, site(PHONE)
    ),
    "settings.ingest.web.port is 443, and a pod without privileges may serve 1024 and above; set such a port, as 8443"
    " is": both(WHIP, site(PHONE), {"settings": {"ingest": {"web": {"port": 443}}}}),
    "whip.probesPort is 8443, as settings.ingest.web.port is, and both are of one pod; set another one": both(
        WHIP, WEB, site(PHONE), {"whip": {"probesPort": 8443}}
    ),
    "settings.ingest.web.host is 127.0.0.1, so that no peer reaches the pod; remove it": both(
        WHIP, site(PHONE), {"settings": {"ingest": {"web": {"host": "127.0.0.1"}}}}
    ),
    "settings.sites[0].id is selftest, as the site of tests.roundTrip is called; set another id, or"
    " tests.roundTrip.enabled: false": both(site(CAMERA, id="selftest"), {"tests": {"roundTrip": {"enabled": True}}}),
    "nats.clients is empty, so that NATS lets nobody in from a node's network; set the networks of the nodes on which"
    " the pod of WHIP may run, such as [{ipBlock: {cidr: 10.0.0.0/24}}]": both(
        WHIP, WEB, site(PHONE), {"nats": {"clients": []}}
    ),
    "settings.ingest.web is given, and whip.enabled is false: nobody would reach it; set whip.enabled: true, or remove"
    " it": WEB,
    # notify's servers.
    "settings.notify.smtp has port 25, to which notify may not connect; add it to networkPolicy.relays.ports": notify(
        smtp={"security": "none"}
    ),
    "settings.notify.smtp.host is missing, and would be the pod itself; set your mail server's name": notify(
        smtp={"host": None}
    ),
    "settings.notify.sms.kannel.url is missing, and would be the pod itself; set it, such as"
    " http://kannel.sms.svc:13013/cgi-bin/sendsms": notify(sms=merged(SMS, {"kannel": {"url": None}})),
    "settings.notify.sms.kannel.url has port 13013, to which notify may not connect; add it to"
    " networkPolicy.relays.ports": notify(sms=merged(SMS, {"kannel": {"url": "http://kannel:13013/cgi-bin/sendsms"}})),
    "settings.notify.sms.provider.url has port 80, to which notify may not connect; add it to"
    " networkPolicy.relays.ports": notify(sms={"provider": {"url": "http://sms.example.org/$to"}}),
    "settings.notify.receivers[0].webhooks[0].url has port 9093, to which notify may not connect; add it to"
    " networkPolicy.relays.ports": hook(url="https://alertmanager.example.org:9093/hook"),
    "networkPolicy.relays.cidrs is empty, so that notify tells nobody; set the networks of your mail server, SMS "
    "gateway and webhooks, such as [203.0.113.7/32]": policy(relays={"cidrs": []}),
    "settings.notify.sms.reports.host is not 0.0.0.0, so that reports reach no pod; set settings.notify.sms."
    "reports.host: 0.0.0.0": notify(sms=merged(SMS, {"reports": {"host": None}})),
    "settings.notify.sms.reports.port is 8080, which a pod without privileges may not serve, or has probes at; set"
    " another one, as 8463 is": notify(sms=merged(SMS, {"reports": {"port": 8080}})),
    "networkPolicy.reports is empty, so that nobody hands in delivery reports; set who may, such as the ingress"
    " controller": notify(sms=SMS),
    # NATS.
    "nats.url is given, and nats.enabled is true; set nats.enabled: false for the server at that address, or remove"
    " nats.url": {"nats": {"url": "nats://a:4222"}},
    "nats.enabled is false, and nats.url is empty; set it to the address of your NATS server, such as"
    " nats://nats.nats.svc:4222": {"nats": {"enabled": False}},
    "nats.enabled is false, and nats.hub, nats.leaf or nats.websocket is set, which only a server of the"
    " chart's own would be; set nats.enabled: true, or remove them": both(
        AUTOSCALED, {"nats": {"hub": {"enabled": True}}}
    ),
    "networkPolicy.nats is empty, so that nobody reaches NATS; set where your NATS server is, such as"
    " [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: nats}}}]": both(AUTOSCALED, policy(nats=[])),
    "nats.tls.enabled is true, and nats.tls.clientSecret is empty; set the Secret with ca.crt, tls.crt and tls.key that"
    " services speak TLS with": {"nats": {"tls": {"enabled": True}}},
    "nats.url asks for TLS, and nats.tls.enabled is false; set nats.tls.enabled: true and nats.tls.clientSecret": both(
        AUTOSCALED, {"nats": {"url": "tls://nats.nats.svc:4222"}}
    ),
    "nats.url holds a user or a password, and values are no place for one; remove it: a seed says who somebody"
    " is": both(AUTOSCALED, {"nats": {"url": "nats://u:p@nats.nats.svc:4222"}}),
    "nats.keys are those of release paris, and this one is moretta, whose Secrets would be missing; give"
    " DIR/values.yaml of `moretta nats apply DIR` with `kubernetes: {release: moretta}` in its file, by -f": {
        "nats": {"release": "paris"}
    },
    "nats.tls.enabled is true, and nats.tls.routesSecret is empty, so that three servers would talk among themselves in"
    " the clear; set the Secret with ca.crt, tls.crt and tls.key for that, of an authority of its own": {
        "nats": {"replicas": 3, "tls": {"enabled": True, "clientSecret": "c", "serverSecret": "s"}}
    },
    # The page.
    "settings.aggregate.page is given, and the chart sets that itself; remove it, and set page.enabled": {
        "settings": {"aggregate": {"page": {}}}
    },
    "page.open is true, and page.enabled is false: NATS would ask for no key, for a page that nobody serves; set"
    " page.enabled: true, or page.open: false": merged(PAGE, {"page": {"enabled": False}}),
    "page.enabled is true, and nats.hub.enabled, too: a hub has no aggregate, which serves the page; set page.enabled:"
    " false": both(PAGE, HUB),
    "page.enabled is true, and nats.websocket.enabled is false, so that the page gets no numbers; set"
    " nats.websocket.enabled: true, and nats.websocket.origins": merged(PAGE, {"nats": {"websocket": None}}),
    "page.websocket is empty; set where browsers find NATS, such as wss://masks.example.org, or a path of the page's"
    " own address, such as /nats": merged(PAGE, {"page": {"websocket": ""}}),
    "page.port is 8080, where the same pods have their probes; set another one, as 8088 is": merged(
        PAGE, {"page": {"port": 8080}}
    ),
    "networkPolicy.page is empty, so that nobody fetches the page; set who may, such as the ingress controller": merged(
        PAGE, {"networkPolicy": {"page": []}}
    ),
    # Scaling, monitoring, tracing.
    "inference.autoscaling.enabled and inference.keda.enabled are both true, and would scale against each other; set "
    "one of them": both(AUTOSCALED, {"inference": EVERYTHING["inference"]}),
    "inference.autoscaling.minReplicas is 9, more than maxReplicas, 8; set it lower, or the other higher": {
        "inference": {"autoscaling": {"minReplicas": 9}}
    },
    "inference.keda.enabled is true, and inference.keda.serverAddress is empty; set the Prometheus to ask, such as"
    " http://prometheus-operated.monitoring.svc:9090": {"inference": {"keda": {"enabled": True}}},
    "monitoring.podMonitor.enabled and monitoring.serviceMonitor.enabled are both true, so that everything is scraped"
    " twice; set one of them": {"monitoring": {one: {"enabled": True} for one in ("podMonitor", "serviceMonitor")}},
    "tracing.enabled is true, and tracing.endpoint is empty; set where traces go, such as"
    " http://collector.monitoring.svc:4318": {"tracing": {"enabled": True}},
    "tracing.existingSecret is given, and tracing.endpoint is not https://, so that its token would be read on the way;"
    " set an https:// endpoint": {"tracing": {"enabled": True, "endpoint": "http://a", "existingSecret": "otel"}},
    "networkPolicy.tracing is empty, so that no trace goes out; set where the collector is, such as [{"
    "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]": {
        "tracing": {"enabled": True, "endpoint": "http://a"}
    },
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_it_is_refused(sentence):
    """With the whole sentence, and nothing else."""
    assert refusal(REFUSED[sentence]) == sentence


@pytest.mark.parametrize(
    ("over", "start"),
    [
        (HUB | {"page": {"enabled": False}}, "page.open is true, and page.enabled is false: "),
        ({"nats": {"keys": {"page": None}}}, "nats.keys.page is empty; set identities.make: true"),
    ],
    ids=["at a hub", "without a key"],
)
def test_a_door_for_nobody_is_refused(over, start):
    """In words, where the server's configuration would name the page's key."""
    assert refusal(both(PAGE, over)).startswith(start)


ACCEPTED = {
    "a camera's port that is allowed": both(
        site({"id": "a", "url": "rtsp://10.20.0.5:8554/s"}), policy(cameras={"ports": [8554]})
    ),
    "no policies, and so no networks": both(
        site({"id": "a", "url": "rtsp://10.20.0.5:8554/s"}),
        {"networkPolicy": {"enabled": False, "cameras": {"cidrs": []}, "relays": {"cidrs": []}}},
    ),
    "phones alone": both(WHIP, WEB, site(PHONE), policy(cameras={"cidrs": []})),
    "a provider's URL in which a value is to be put": both(
        policy(reports=[{"podSelector": {}}]),
        notify(
            sms={"provider": {"url": "https://a.example.org/?token=$token&to=$to&text=$text", "token_file": SECRET}}
        ),
    ),
    "nobody who is told": {"settings": {"notify": None}, "networkPolicy": {"relays": {"cidrs": []}}},
    "the system's authorities": notify(smtp={"ca_file": "system"}),
    "a provider whose form has a field `password`": both(
        policy(reports=[{"podSelector": {}}]),
        notify(
            sms={
                "provider": {
                    "url": "https://sms.example.org",
                    "form": {"password": "$password", "to": "$to", "text": "$text"},
                    "password_file": SECRET,
                }
            }
        ),
    ),
    "a webhook's port that is allowed, and one that only a Secret knows": both(
        policy(relays={"ports": [587, 9093]}),
        notify(receivers=[{"id": "a", "webhooks": [{"url": "https://a.example.org:9093"}, {"url_file": SECRET}]}]),
    ),
    "a cluster of servers elsewhere": both(AUTOSCALED, {"nats": {"replicas": 5, "url": "nats://a:4222,nats://b:4222"}}),
    "resources in other words": {
        "nats": {"release": "moretta", "tls": {"routesSecret": "routes.example"}},
        "ingest": {
            "resources": {"requests": {"cpu": 1.5, "memory": "1e9"}, "limits": {"memory": 2147483648, "a/b": 1}}
        },
        "notify": {"resources": {"requests": {"cpu": None}, "limits": {"cpu": "1500m", "memory": "0.5Gi"}}},
    },
    "a page whose NATS is elsewhere, at a path of its own address": merged(
        AUTOSCALED, PAGE | {"nats": {}, "page": {"enabled": True, "websocket": "/nats"}}
    ),
    "a site without cameras": both(site(), policy(cameras={"cidrs": []})),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_its_neighbour_is_accepted(name):
    """What is next to what is refused."""
    assert render(ACCEPTED[name])


@pytest.mark.parametrize("key", sorted({*SECRETS} - {"url"}))
def test_every_secret_of_the_settings(key):
    """Whatever the services take for a secret the chart does not take as a value, also deep within a list."""
    assert f"settings.notify.receivers[0].webhooks[0].{key} is a secret" in refusal(hook(url_file=SECRET, **{key: "x"}))
