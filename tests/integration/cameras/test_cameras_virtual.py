"""`moretta cameras` against ipycam, a virtual camera, in a network of its own; against liars; against nobody."""

import json
from pathlib import Path

import clips
import pytest
import rtsp
from camera_network import ADDRESS, OTHER, network
from command_line import assert_mistakes
from lying_camera import PASSWORD

LIAR = Path(__file__).parents[2] / "support/lying_discovery.py"


@pytest.fixture(name="net", scope="module")
def _net():
    with network() as net:
        yield net


def test_nobody_answers(net):
    """Exit code 1, and where it was asked; what could be the reason."""
    run = net.moretta("cameras", "find", "--wait", "0.5")
    assert (run.returncode, run.stdout) == (1, "")
    told = " ".join(run.stderr.split())
    assert told.startswith(f"no camera answered within 0.5 s; asked from {ADDRESS}, {OTHER}.")
    as_json = net.moretta("cameras", "find", "--wait", "0.5", "--json", "--from", ADDRESS)
    assert (as_json.returncode, json.loads(as_json.stdout)) == (1, {"cameras": [], "asked_from": [ADDRESS]})


def test_an_address_that_is_not_ours(net):
    """It says which are."""
    run = net.moretta("cameras", "find", "--from", "10.1.2.3")
    why = f"'10.1.2.3' is no address of this machine that can send multicast; it has {ADDRESS}, {OTHER}"
    assert_mistakes(run, f"moretta cameras find: --from: {why}")


def test_no_network():
    """A machine without one that can send multicast, as a pod's: it says where to ask instead."""
    with network(addresses=False) as net:
        why = "this machine has no network with multicast; in a container or a pod, ask from the host instead"
        assert_mistakes(net.moretta("cameras", "find"), f"moretta cameras find: {why}")


@pytest.mark.first
def test_found_shown_added_and_opened(net, login, tmp_path):
    """The whole way: the question to all, the camera's streams, its second one in the settings, a packet of it."""
    rtsp.require()
    clip = clips.make_clip(tmp_path / "clip.mp4", width=640, height=360, pictures=50)
    server = rtsp.RtspServer(clip, "digest", "watcher", PASSWORD, host=ADDRESS, prefix=tuple(net.inside)).start()
    file = tmp_path / "site.yaml"
    file.write_text("sites:\n  - id: one\n    profile: lab\n")
    try:
        with net.camera(80, "watcher", PASSWORD, rtsp_port=server.port):
            found = json.loads(net.moretta("cameras", "find", "--wait", "1", "--json").stdout)["cameras"]
            assert [one["address"] for one in found] == [ADDRESS]
            assert_mistakes(net.moretta("cameras", "show", ADDRESS), f"{ADDRESS}:80: needs a login: give --user")
            shown = net.moretta("cameras", "show", found[0]["address"], *login)
            assert "PythonCam VirtualCam-1" in shown.stdout
            assert "Moretta would take Profile_Sub: the cheapest with at least 640 pixels" in shown.stdout
            run = net.moretta("cameras", "add", ADDRESS, "-c", file, "--id", "gate", *login)
            assert run.returncode == 0, run.stderr
        secret = (tmp_path / "gate.url").read_text()
        assert secret == f"rtsp://watcher:{PASSWORD}@{ADDRESS}:{server.port}/cam\n"
        doctor = net.moretta("doctor", "-c", file, "--cameras", "--json")
        opened = next(one for one in json.loads(doctor.stdout)["checks"] if one["check"] == "reach one/gate")
        assert opened["state"] == "ok", opened
        assert PASSWORD not in shown.stdout + run.stdout + run.stderr + doctor.stdout + doctor.stderr
    finally:
        server.kill()


def test_a_wrong_login(net, login, tmp_path):
    """The user is named; the password is nowhere."""
    (tmp_path / "password").write_text("another")
    with net.camera(80, "watcher", PASSWORD):
        run = net.moretta("cameras", "show", ADDRESS, *login)
        assert_mistakes(run, f"{ADDRESS}:80: refuses the login of 'watcher'")


def test_lies_of_the_network(net):
    """Noise is passed over, other hosts are not offered, names move no cursor, and each is there once."""
    with net.running(LIAR, ADDRESS, OTHER):
        found = json.loads(net.moretta("cameras", "find", "--wait", "1", "--json").stdout)["cameras"]
        assert [(one["host"], one["address"], one["refused"]) for one in found] == [
            (ADDRESS, ADDRESS, ""),
            (OTHER, None, f"it names no address at {OTHER}, only other hosts or unusable paths"),
        ]  # fmt: skip
        assert (found[0]["name"], found[0]["model"]) == ("?[2J?[31mevil", "[red]X[/red]")
        text = net.moretta("cameras", "find", "--wait", "1").stdout
        assert "[red]X[/red]" in text
        assert text.replace("\n", "").isprintable()
