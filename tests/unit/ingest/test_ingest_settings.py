"""The web section and peer cameras in the settings file: services.ingest.settings, services.sites.settings."""

import pytest
import yaml

from services.aggregate.settings import AggregateFile
from services.ingest.settings import IngestFile
from services.kernel.settings import SettingsError, load

TOKEN = "a-token-of-the-tests-32-characters"


def read(folder, camera, web, schema=IngestFile):
    """Settings with one camera, whose token file is there, and a web section."""
    (folder / "token").write_text(f"{TOKEN}\n")
    (folder / "short").write_text("short")
    file = folder / "site.yaml"
    sites = [{"id": "cannes", "profile": "lab", "cameras": [{"id": "phone", "url": "whip://"} | camera]}]
    file.write_text(yaml.safe_dump({"sites": sites, "ingest": {} if web is None else {"web": web}}))
    return load(file, schema, {})


def test_a_peer_camera(tmp_path):
    """Its token comes from a file and shows itself to nobody; a service that serves no peer doesn't even read it."""
    camera = read(tmp_path, {"token_file": "token"}, {}).sites[0].cameras[0]
    assert (camera.is_peer, camera.token.reveal(), TOKEN in repr(camera)) == (True, TOKEN, False)
    other = read(tmp_path, {"token_file": "gone"}, {}, AggregateFile).sites[0].cameras[0]
    assert other.token.reveal() != TOKEN


@pytest.mark.parametrize(
    ("camera", "web", "path", "word"),
    [
        ({}, {}, "sites[0].cameras[0].token", "token_file"),
        ({"token_file": "short"}, {}, "sites[0].cameras[0].token", "16 characters"),
        ({"token_file": "token"}, None, "ingest.web", "web: {}"),
        ({"token_file": "token"}, {"certificate": "a.crt"}, "ingest.web.key", "both"),
        ({"token_file": "token"}, {"ice_addresses": ["eth0"]}, "ingest.web.ice_addresses[0]", "192.0.2.7"),
        ({"token_file": "token"}, {"origins": ["*"]}, "ingest.web.origins[0]", "https://a.org"),
        ({"token_file": "token"}, {"names": ["kiosk.example.org", "marché"]}, "ingest.web.names[1]", "host name"),
        ({"token_file": "token"}, {"port": 70_000}, "ingest.web.port", "65535"),
    ],
)
def test_mistakes_are_named(tmp_path, camera, web, path, word):
    """Each with its path and what would be right; no token comes out."""
    with pytest.raises(SettingsError) as error:
        read(tmp_path, camera, web)
    assert [(where, word in why) for where, why in error.value.problems] == [(path, True)]
    assert TOKEN not in str(error.value)
