# Hands each window on to Home Assistant's MQTT broker, where every zone becomes a sensor by itself. Install: paho-mqtt.
# Run: python home_assistant.py MORETTA:1883 subscriber subscriber.mqtt HOME:1883 [USER PASSWORD_FILE].
# For TLS NATS_CA and HOME_CA name the file of each side's authority.
import json
import os
import sys
from datetime import datetime
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client

WINDOWS = "moretta/v1/windows/#"
VALUE = "{{ (value_json.rate * 100) | round(1) if value_json.rate is not none else None }}"


def connected(client, address, _flags, reason, _properties):
    if reason.is_failure:
        print(f"{address}: {reason}", file=sys.stderr, flush=True)
        os._exit(2)
    if client.on_message:
        client.subscribe(WINDOWS)


def opened(address, user=None, password_file=None, ca=None):
    client = Client(CallbackAPIVersion.VERSION2, userdata=address)
    if user:
        client.username_pw_set(user, Path(password_file).read_text().strip())
    if ca:
        client.tls_set(ca)
    client.on_connect = connected
    client.on_connect_fail = lambda *_: print(f"{address} does not answer, trying on", file=sys.stderr, flush=True)
    client.connect_async(address.rpartition(":")[0], int(address.rpartition(":")[2]))
    return client


def hand_on(_client, _address, message):
    window, place = json.loads(message.payload), "_".join(message.topic.split("/")[-2:])
    length = datetime.fromisoformat(window["end"]) - datetime.fromisoformat(window["start"])
    about = {"name": f"Masks {window['site']} {window['zone']}", "unique_id": f"moretta_{place}"}
    about |= {"state_topic": f"moretta_home/{place}", "value_template": VALUE, "unit_of_measurement": "%"}
    about |= {"expire_after": 2 * round(length.total_seconds()) + 60}  # no window came: unknown, not the last one
    home.publish(f"homeassistant/sensor/moretta_{place}/config", json.dumps(about), qos=1, retain=True)
    home.publish(f"moretta_home/{place}", message.payload, qos=1, retain=True)


home, moretta = (
    opened(*sys.argv[4:], ca=os.environ.get("HOME_CA")),
    opened(*sys.argv[1:4], ca=os.environ.get("NATS_CA")),
)
moretta.on_message = hand_on
home.loop_start()
moretta.loop_forever(retry_first_connection=True)
