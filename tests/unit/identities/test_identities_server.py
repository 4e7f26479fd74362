"""The server's configuration, from the one table."""

import json

import pytest

from operate.identities import ServerTls, nats_config, server
from proto.permissions import ACCOUNTS, asked_of, heard_by, mirrored, origin, rights_of, user_of
from proto.subjects import STATS, STREAMS
from services.aggregate.mirrors.configuration import wanted

USERS = {user_of(identity, account): (identity, account) for identity, where in ACCOUNTS.items() for account in where}
KEYS = {user: [f"U-{user}"] for user in USERS}


@pytest.fixture(name="config")
def _config() -> dict:
    return json.loads(nats_config(4222, "/data/js", KEYS))


def test_it_listens_on_loopback_only(config: dict):
    """One box is reached from itself alone."""
    assert config["listen"] == "127.0.0.1:4222"
    assert json.loads(nats_config(-1, "/", KEYS))["listen"] == "127.0.0.1:-1"
    assert not {"http", "monitor_port", "cluster", "leafnodes", "websocket"} & config.keys()


def test_two_accounts_without_a_bridge(config: dict):
    """MORETTA_FRAMES has neither JetStream nor import nor export."""
    accounts = config["accounts"]
    assert set(accounts) == {"MORETTA", "MORETTA_SUBSCRIBERS", "MORETTA_PAGE", "MORETTA_FRAMES"}
    assert accounts["MORETTA"]["jetstream"] is True
    assert accounts["MORETTA_FRAMES"]["jetstream"] is False
    assert accounts["MORETTA_FRAMES"].keys() == {"jetstream", "users", "limits"}


def test_the_pages_account_has_what_is_imported_and_nothing_else(config: dict):
    """No stream, no other user; of MORETTA what its user may ask and hear, JetStream's API by a name of its own."""
    page, given = config["accounts"]["MORETTA_PAGE"], config["accounts"]["MORETTA"]["exports"]
    assert page.keys() == {"users", "imports", "limits", "mappings"}
    assert [user["nkey"] for user in page["users"]] == ["U-page"]
    taken = [one.get("service") or one["stream"] for one in page["imports"]]
    mine = [one.get("service") or one["stream"] for one in given if "MORETTA_PAGE" in one["accounts"]]
    assert sorted(one["subject"] for one in taken) == sorted(mine)
    rights = rights_of("page", "MORETTA")
    asked = [one["service"]["subject"] for one in page["imports"] if "service" in one]
    assert asked == list(asked_of("page"))
    assert page["mappings"] == {one: origin(one) for one in asked if one.startswith("$JS.")}
    assert set(rights.publish) == {*asked, *page["mappings"].values()}
    heard = [one["stream"]["subject"] for one in page["imports"] if "stream" in one]
    assert [*heard, "_INBOX_subscriber.>"] == list(rights.subscribe)
    assert [one["service"]["subject"] for one in page["imports"] if one.get("share")] == [STATS.wildcard()]


def test_a_readers_account_takes_what_its_mirrors_need_and_gives_the_making_of_streams(config: dict):
    """Of MORETTA's JetStream: making the mirrors' consumers; of its own: making streams, removing consumers."""
    reader, main = config["accounts"]["MORETTA_SUBSCRIBERS"], config["accounts"]["MORETTA"]
    streams = [stream.name for stream in mirrored(heard_by("subscriber"))]
    assert streams == ["WINDOWS", "ALERTS", "RULES", "OPERATIONS", "CAMERAS", "DELIVERIES"]
    api = [one for one in reader["imports"] if "$JS" in str(one)]
    assert [one["service"]["subject"] for one in api] == [
        *(f"$JS.API.CONSUMER.CREATE.{name}" for name in streams), *(f"$JS.FC.{name}.>" for name in streams),
    ]  # fmt: skip
    assert [one["to"] for one in api if "to" in one] == [f"_ORIGIN.CONSUMER.CREATE.{name}" for name in streams]
    delivered = [one["stream"]["subject"] for one in reader["imports"] if "stream" in one]
    assert delivered == [*(row.wildcard() for row in heard_by("subscriber")), "_MIRROR.MORETTA_SUBSCRIBERS.>"]
    verbs = [f"STREAM.{verb}" for verb in ("CREATE.*", "UPDATE.*", "DELETE.*", "INFO.*", "NAMES")]
    verbs += ["CONSUMER.LIST.*", "CONSUMER.DELETE.*.*"]
    assert reader["exports"] == [{"service": f"$JS.API.{verb}", "accounts": ["MORETTA"]} for verb in verbs]
    assert [one["to"] for one in main["imports"]] == [f"_READER.MORETTA_SUBSCRIBERS.{verb}" for verb in verbs]
    assert [one["accounts"] for one in main["exports"] if "_MIRROR" in one.get("stream", "")] == [
        ["MORETTA_SUBSCRIBERS"]
    ]


def test_the_mirrors_fit_the_account_and_all_accounts_the_server(config: dict):
    """A new reader needs no restart until there are many; then the limits grow."""
    limits = config["accounts"]["MORETTA_SUBSCRIBERS"]["jetstream"]
    made = wanted("MORETTA_SUBSCRIBERS", heard_by("subscriber"), 1)
    for storage, name in (("file", "max_file"), ("memory", "max_memory")):
        assert sum(one["max_bytes"] for one in made if one["storage"] == storage) <= limits[name]
        free = config["jetstream"][f"{name}_store"] - sum(s.max_bytes for s in STREAMS if s.storage == storage)
        assert free >= 8 * limits[name]
    assert limits["max_streams"] == len(made) + 1, "that of the version before"
    many = {f"subscriber-{number}": ["U"] for number in range(8)}
    sizes = [
        json.loads(nats_config(-1, "/", KEYS | dict([*many.items()][:number])))["jetstream"] for number in (0, 7, 8)
    ]
    assert sizes[0] == sizes[1]
    assert sizes[2]["max_file_store"] > sizes[1]["max_file_store"]


def _made(account: str, *streams: str) -> list[str]:
    """What aggregate may publish to make the streams of a reader's account, and to remove consumers of them."""
    asked = ["STREAM.NAMES", "STREAM.DELETE.*", *(f"STREAM.*.{name}" for name in (*streams, "KV_moretta_latest"))]
    consumers = [f"CONSUMER.{one}" for name in streams for one in (f"LIST.{name}", f"DELETE.{name}.*")]
    return [f"_READER.{account}.{one}" for one in (*asked, *consumers)]


@pytest.mark.parametrize("streams", [("WINDOWS", "ALERTS"), ("CAMERAS",), ("DELIVERIES", "RULES")])
def test_a_reader_with_a_name_has_its_streams_alone(streams: tuple[str, ...]):
    """Two unless it says others: their live messages, their mirrors, and nothing of the rest by any way."""
    given = None if streams == ("WINDOWS", "ALERTS") else {"acme": streams}
    accounts = json.loads(nats_config(4222, "/", KEYS | {"subscriber-acme": ["U-1"]}, readers=given))["accounts"]
    rows = [row for row in heard_by("subscriber") if row.stream in streams]
    own, main = accounts["MORETTA_SUBSCRIBERS_acme"], accounts["MORETTA"]
    delivered = [one["stream"]["subject"] for one in own["imports"] if "stream" in one]
    assert delivered == [*(row.wildcard() for row in rows), "_MIRROR.MORETTA_SUBSCRIBERS_acme.>"]
    there = [stream.name for stream in mirrored(rows)]
    asked = [one["service"]["subject"] for one in own["imports"] if "$JS" in str(one)]
    assert asked == [*(f"$JS.API.CONSUMER.CREATE.{name}" for name in there), *(f"$JS.FC.{name}.>" for name in there)]
    to_acme = [one for one in main["exports"] if "MORETTA_SUBSCRIBERS_acme" in one["accounts"]]
    named = {one.get("stream") or one["service"] for one in to_acme}
    assert named == {one.get("stream", one.get("service"))["subject"] for one in own["imports"]}
    [aggregate] = [one for one in main["users"] if one["nkey"] == KEYS["aggregate"][0]]
    allowed = [one for one in aggregate["permissions"]["publish"]["allow"] if "MORETTA_SUBSCRIBERS_acme" in one]
    assert allowed == _made("MORETTA_SUBSCRIBERS_acme", *there)


def test_a_reader_with_a_name_may_be_a_subscriber_of_its_own(config: dict):
    """With all streams: the same rights, imports and limits in another account, to which MORETTA gives the same."""
    streams = {"acme": [stream.name for stream in mirrored(heard_by("subscriber"))]}
    keys = KEYS | {"subscriber-acme": ["U-1", "U-2"]}
    accounts = json.loads(nats_config(4222, "/", keys, readers=streams))["accounts"]
    own = accounts.pop("MORETTA_SUBSCRIBERS_acme")
    [subscriber] = config["accounts"]["MORETTA_SUBSCRIBERS"]["users"]
    assert own["users"] == [subscriber | {"nkey": key} for key in ("U-1", "U-2")]
    same = json.loads(json.dumps(own).replace("MORETTA_SUBSCRIBERS_acme", "MORETTA_SUBSCRIBERS"))
    assert same | {"users": [subscriber]} == config["accounts"]["MORETTA_SUBSCRIBERS"]
    text = json.dumps(accounts)
    assert ("_MIRROR.MORETTA_SUBSCRIBERS_acme.>" in text, "_READER.MORETTA_SUBSCRIBERS_acme.STREAM.NAMES" in text) == (
        True,
        True,
    )
    main, before = accounts["MORETTA"], config["accounts"]["MORETTA"]
    shared = [one for one in main["exports"] if "_MIRROR" not in str(one)]
    assert all(
        ("MORETTA_SUBSCRIBERS_acme" in one["accounts"]) == ("MORETTA_SUBSCRIBERS" in one["accounts"]) for one in shared
    )
    for name in ("exports", "imports"):
        known = [json.loads(json.dumps(one).replace(', "MORETTA_SUBSCRIBERS_acme"', "")) for one in main[name]]
        assert [one for one in known if "acme" not in str(one)] == before[name], "to everybody else nothing is new"


@pytest.mark.parametrize("user", USERS)
def test_a_user_has_its_rights(config: dict, user: str):
    """Each user once, in its account, with its own key and the table's rights."""
    identity, account = USERS[user]
    found = [(name, u) for name, a in config["accounts"].items() for u in a["users"] if u["nkey"] == f"U-{user}"]
    assert len(found) == 1
    where, entry = found[0]
    rights = rights_of(identity, account)
    assert where == {"subscriber": "MORETTA_SUBSCRIBERS", "page": "MORETTA_PAGE"}.get(user, account)
    doors = {"allowed_connection_types": ["STANDARD", "WEBSOCKET"]} if where != account else {}
    assert entry == {"nkey": f"U-{user}", "permissions": entry["permissions"], **doors}
    permissions = entry["permissions"]
    made = _made("MORETTA_SUBSCRIBERS", "WINDOWS", "ALERTS", "RULES", "OPERATIONS", "CAMERAS", "DELIVERIES")
    made = made if user == "aggregate" else []  # the readers' streams
    assert permissions == {"publish": {"allow": [*rights.publish, *made]}, "subscribe": {"allow": [*rights.subscribe]}}


def test_nobody_comes_in_without_a_key(config: dict):
    """No user by default, no token, no open account; a user without a key is a mistake, not an open door."""
    assert not {"no_auth_user", "authorization", "system_account"} & config.keys()
    with pytest.raises(KeyError):
        nats_config(-1, "/", {})
    for user in ("ingest", "subscriber", "page"):
        with pytest.raises(KeyError):
            nats_config(-1, "/", KEYS | {user: []})
        with pytest.raises(KeyError):
            nats_config(-1, "/", {name: keys for name, keys in KEYS.items() if name != user})


def test_two_keys_while_one_takes_the_others_place(config: dict):
    """Both come in, with the same rights; everybody else is as before."""
    both = json.loads(nats_config(4222, "/data/js", KEYS | {"notify": ["U-notify", "U-next"]}))
    rights = {user["nkey"]: user["permissions"] for user in both["accounts"]["MORETTA"]["users"]}
    assert rights.pop("U-next") == rights["U-notify"]
    assert rights == {user["nkey"]: user["permissions"] for user in config["accounts"]["MORETTA"]["users"]}
    assert both["accounts"]["MORETTA_FRAMES"] == config["accounts"]["MORETTA_FRAMES"]


def test_tls(config: dict):
    """TLS 1.2 or later, mutual unless said otherwise; without files none."""
    files = {"cert_file": "c", "key_file": "k", "ca_file": "a"}
    tls = server(":4222", "/data/js", KEYS, tls=ServerTls("c", "k", "a"))["tls"]
    assert tls == {**files, "verify": True, "min_version": "1.2", "timeout": 5}
    assert "tls" not in config


def test_frozen_clients_are_noticed(config: dict):
    """A frozen worker must not keep its share of the frames for minutes."""
    assert (config["ping_interval"], config["ping_max"], config["write_deadline"]) == ("2s", 2, "1s")
    assert config["max_pending"] <= 64 << 20


def test_the_limits_hold_every_stream(config: dict):
    """JetStream may hold what the table's streams reserve, and a 1080p frame passes."""
    for storage, name in (("memory", "max_memory_store"), ("file", "max_file_store")):
        assert config["jetstream"][name] > sum(s.max_bytes for s in STREAMS if s.storage == storage)
    assert config["max_payload"] > 1920 * 1080 * 3 // 2 + 4096
    assert config["jetstream"]["store_dir"] == "/data/js"


@pytest.mark.parametrize(("name", "limit"), [("WINDOWS", "max_file_store"), ("SIGHTINGS", "max_memory_store")])
def test_the_limits_hold_a_stream_that_is_larger(config: dict, name: str, limit: str):
    """By as much as it is larger, where it is; of the other limit, and of all else, nothing is new."""
    large = json.loads(nats_config(4222, "/data/js", KEYS, sizes={name: 2 << 30}))
    assert large["jetstream"].pop(limit) == config["jetstream"].pop(limit) + (2 << 30) - (256 << 20)
    assert large == config


def test_what_was_acknowledged_is_on_the_disk(config: dict):
    """A pause that was confirmed is not gone after a power cut; by default JetStream syncs every two minutes."""
    assert config["jetstream"]["sync_interval"] == "always"


def test_a_reader_takes_little_of_the_server_and_services_what_they_need(config: dict):
    """Connections, subscriptions and bytes of a question; services have room for a thousand cameras and sites."""
    accounts = config["accounts"]
    for name, many, size in (("MORETTA_SUBSCRIBERS", 20 * 100, 4 << 10), ("MORETTA_PAGE", 200 * 6, 16 << 10)):
        limits = accounts[name]["limits"]
        assert limits["max_connections"] * limits["max_subscriptions"] <= many
        assert limits["max_payload"] <= size
    assert {accounts[name]["limits"]["max_subscriptions"] for name in ("MORETTA", "MORETTA_FRAMES")} == {10_000}
    assert all(accounts[name]["limits"].keys() == {"max_subscriptions"} for name in ("MORETTA", "MORETTA_FRAMES"))
    assert "max_subscriptions" not in config, "which no reload of the server takes"
