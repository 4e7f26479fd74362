"""What `moretta cameras` prints to be pasted: operate.cameras.output."""

import shlex

import pytest

from operate.cameras.core.discovery import Found
from operate.cameras.output import found


@pytest.mark.parametrize(
    "path", ["/onvif/device", "/x;touch${IFS}/tmp/a;", "/'$(reboot)'", "/" + 300 * "a" + "/reboot"]
)
def test_a_line_to_paste_is_one_command(capsys, path):
    """One line, in which the device's address is one word, whatever it consists of and however long it is."""
    address = f"http://10.0.0.5:80{path}"
    found([Found(host="10.0.0.5", address=address)], ["10.0.0.1"], 1.0, as_json=False)
    line = capsys.readouterr().out.splitlines()[-1]
    words = ["Next:", "moretta", "cameras", "show", address, "--user", "NAME", "--password-file", "FILE"]
    assert shlex.split(line) == words
