"""One more user in the account MORETTA_FRAMES, who may subscribe and publish everything: whoever holds the bus."""

import json


def with_tap(config: str) -> str:
    """Return the box's configuration of nats-server with the user `tap`, password `tap`."""
    whole = json.loads(config)
    whole["accounts"]["MORETTA_FRAMES"]["users"].append({"user": "tap", "password": "tap"})
    return json.dumps(whole)
