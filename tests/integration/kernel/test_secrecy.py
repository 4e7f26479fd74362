"""The watch over everything that the tests write (tests/support/secrecy.py) finds what is planted."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import secrecy
from patience import patient

SUPPORT = Path(secrecy.__file__).parent
PLANTED = {
    "output": "print('rtsp://u:' + P + '@h')",
    "error": "sys.stderr.write(P)",
    "log": "logging.getLogger('x').error('%s', P)",
    "child": "subprocess.run(['sh', '-c', 'echo ' + P + ' >&2'], check=True)",
    "file": "(tmp_path / 'server.log').write_text(P)",
    "process": "import secrecy; secrecy.said('{\"event\": \"' + P + '\"}')",
    "random": "import secrecy; secrecy.keep('a' * 5 + 'b' * 5); print('a' * 5 + 'b' * 5)",
    "nothing": "print('no harm')",
}


@pytest.fixture(name="reports", scope="session")
def _reports(tmp_path_factory) -> dict[str, str]:
    """What pytest reports of a test of each."""
    folder = tmp_path_factory.mktemp("planted")
    tests = [f"def test_{way}(tmp_path):\n    {plant}\n" for way, plant in PLANTED.items()]
    imports = "import logging, subprocess, sys\nP = 'hunt' + 'er2'\n"
    (folder / "test_planted.py").write_text(imports + "".join(tests))
    options = ["-q", "-p", "secrecy", "-p", "no:randomly", "--junitxml", folder / "found.xml", "--rootdir", folder]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, folder],
        env=os.environ | {"PYTHONPATH": str(SUPPORT)},
        cwd=folder,
        capture_output=True,
        timeout=patient(60),
        check=False,
    )
    assert run.returncode == 1
    found = dict.fromkeys(PLANTED, "")
    for one in ET.parse(folder / "found.xml").iter("testcase"):  # a failure and an error of a test are two
        found[one.attrib["name"].removeprefix("test_")] += ET.tostring(one, encoding="unicode")
    return found


@pytest.mark.parametrize("way", PLANTED)
def test_a_planted_secret_is_found(reports: dict[str, str], way: str):
    """Written to standard output or error, to a log, by a child, to a log file: the test fails and shows the line."""
    assert f'name="test_{way}"' in reports[way]
    assert ("a secret was written" in reports[way]) == (way != "nothing")
    assert ("<failure" in reports[way] or "<error" in reports[way]) == (way != "nothing")
