"""What services refuse of settings the chart refuses, and `moretta check-config --values` refuses what either does.

A file that only one of them refuses is a failed test of its name.
"""

import re
import subprocess

import msgspec
import pytest
import yaml
from chart import CHART, EXAMPLE, HELMS, ROOT, given, merged, require, seed
from chart_values import AUTOSCALED, EVERYTHING, PAGE
from one_wrong_thing import OF_CHART, OF_SETTINGS
from wrong_values import FILE, GONE, GOOD, PHONES, SITE, changed

from operate.check_config import chart_rules
from operate.check_config.chart_values import read_values
from operate.check_config.check_config import _by_services, checked_values
from services.destinations import METADATA
from services.destinations import NAMES as NOWHERE
from services.kernel.settings import SettingsError
from services.notify.channels.email.settings import SmtpSettings
from services.notify.channels.sms.gateways import NAMES, SECRETS
from services.notify.languages import languages
from services.notify.routing.settings import RouteSettings
from services.notify.settings import ReceiverSettings
from services.sites.settings import CameraSettings, OperationsSettings, RuleSettings, SiteSettings, TrackingSettings

BASES = {"good": GOOD, "phones": PHONES}
WRONG = {**OF_SETTINGS, **OF_CHART}


@pytest.fixture(name="told")
def _told(tmp_path, monkeypatch):
    """What helm says of values, and what `check-config` does; empty where they are accepted."""

    def told(values, version):
        (file := tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
        monkeypatch.setenv("HELM", str(require(HELMS[version])))
        runs, real = [], subprocess.run
        monkeypatch.setattr(
            chart_rules.subprocess, "run", lambda *words, **how: runs.append(real(*words, **how)) or runs[-1]
        )
        try:
            checked_values([file], CHART)
            checked = ""
        except SettingsError as error:
            checked = str(error).replace(str(file), "mine.yaml")
        helm = runs[-1]
        return helm.stderr if helm.returncode else "", checked

    return told


def of_services(values, folder):
    (file := folder / "alone.yaml").write_text(yaml.safe_dump(values))
    return _by_services(read_values([file], folder).merged(), folder)[0]


def test_the_names_are_many_and_differ():
    """No name hides another, and there are enough of them."""
    assert len(WRONG) == len(OF_SETTINGS) + len(OF_CHART) >= 200


def _template(name):
    return (CHART / f"templates/_settings_{name}.tpl").read_text()


def test_the_templates_know_what_services_know():
    """Languages, names of a provider's templates, hosts that nobody calls, and defaults."""
    assert (
        re.findall(r'"(\w\w)"', re.search(r"has \$one.language \(list (.*?)\)", _template("notify"))[1]) == languages()
    )
    headers, others = re.search(r"ternary \(list (.*?)\) \(list (.*?)\)", _template("notify")).groups()
    assert {*re.findall(r"\w+", headers)} == SECRETS | {"key", "from", "to", "number"}
    assert {*re.findall(r"\w+", others)} == NAMES
    hosts, addresses = re.findall(r"if has \$host \(list (.*?)\)", _template("sites"))
    assert {*re.findall(r'"(.*?)"', hosts)} == NOWHERE
    assert {*re.findall(r'"(.*?)"', addresses)} == {str(one) for one in METADATA}


DEFAULTS = {
    SiteSettings: {"window_s", "lateness_s"},
    CameraSettings: {"fps"},
    TrackingSettings: {"max_gap_s"},
    OperationsSettings: {"camera_down_windows"},
    RuleSettings: {"zone", "min_persons"},
    ReceiverSettings: {"audience"},
    RouteSettings: {"repeat_interval_s", "group_interval_s"},
    SmtpSettings: {"security"},
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_the_templates_have_the_services_defaults(kind):
    """What a key is worth that is left out."""
    text = "".join(_template(name) for name in ("sites", "notify", "routes"))
    for field in msgspec.structs.fields(kind):
        found = {*re.findall(rf"\.{field.name} \| default ([^ )$]+)", text)} if field.name in DEFAULTS[kind] else set()
        assert {yaml.safe_load(one) for one in found} <= {field.default}, field.name
        assert found or field.name not in DEFAULTS[kind], field.name


@pytest.mark.parametrize("name", WRONG)
def test_both_refuse_it(told, tmp_path, name):
    """What a template says `check-config` says in the same words; and what of it services refuse without any chart."""
    base, changes = WRONG[name]
    values = changed(BASES[base], changes)
    helm, checked = told(values, [*HELMS][len(name) % 2])
    assert helm, f"the chart accepts it; check-config: {checked}"
    assert checked, f"check-config accepts it; helm: {helm}"
    said = chart_rules.refusal(helm)
    if not said.startswith(chart_rules._BY_SCHEMA):
        assert f"mine.yaml: {said}" in checked, f"the chart: {said}; check-config: {checked}"
    known = of_services(values, tmp_path)
    assert bool(known) == (name in OF_SETTINGS), f"services: {known}; the chart: {helm}"


def _documented():
    """The settings file of the documents, with its secrets where pods have them."""
    text = (ROOT / "docs/site.example.yaml").read_text().replace("/run/secrets/", "/etc/moretta/secrets/")
    return yaml.safe_load(text)


LAB = {
    "profile": "lab",
    "window_s": 30,
    "lateness_s": 2,
    "suppress_below": None,
    "operations": {"camera_down_windows": 50},
}
TRYOUT = merged(yaml.safe_load((ROOT / "k8s/tryout-values.yaml").read_text()), {"image": {"registry": "a.example.org"}})
CALENDAR = {"first": "2026-12-24", "last": None}
HUB = {"enabled": True, "leaves": [{"sites": ["cannes"], "keys": [seed("leaf").public]}]}
RIGHT = {
    "the base of wrong ones": GOOD,
    "phones and everything else": PHONES,
    "the least": given(),
    "the example before there are keys": yaml.safe_load(EXAMPLE.read_text()),
    "the documents' settings file": given() | {"settings": _documented()},
    "everything": given(EVERYTHING),
    "a NATS that is elsewhere": given(AUTOSCALED),
    "the page": given(PAGE),
    "the page before there are keys": merged(yaml.safe_load(EXAMPLE.read_text()), PAGE),
    "a hub, without settings and before there are keys": given()
    | {"settings": {}, "nats": {"hub": HUB, "readers": ["a"]}},
    "the try-out alone": TRYOUT,
    "a site for trials": changed(GOOD, {"settings.sites[0]": SITE | LAB}),
    "a site without rules or zones": changed(
        GOOD, {"settings.sites[1]": {"id": "palais", "profile": "fr-2021-269", "timezone": "Etc/UTC"}}
    ),
    "Kannel": changed(
        GOOD,
        {"settings.notify.sms": {"kannel": {"url": "https://sms.example.org", "user": "m", "password_file": FILE}}},
    ),
    "a provider whose address is in a Secret": changed(
        GOOD, {"settings.notify.sms.provider.url": GONE, "settings.notify.sms.provider.url_file": FILE}
    ),
    "nobody who is told": changed(GOOD, {"settings.notify": {}}),
    "what may be nothing": changed(
        GOOD,
        {
            "settings.sites[0].cameras[0].zone": None,
            "settings.sites[0].cameras[0].line": None,
            "settings.sites[0].name": None,
            "settings.notify.times[1].dates": [CALENDAR],
            "settings.notify.sms.max_per_day": None,
            "settings.inference.threads": 4,
        },
    ),
    "an IPv6 camera on the link": changed(
        GOOD,
        {
            "settings.sites[0].cameras[0].url": "rtsp://[fe80::1]:554/stream",
            "settings.sites[0].cameras[0].allow_link_local": True,
        },
    ),
    "a webhook at an IPv6 address": changed(
        GOOD, {"settings.notify.receivers[1].webhooks[0].url": "https://[fd00::1:9093]/a"}
    ),
    "receivers without routes": changed(GOOD, {"settings.notify.routes": []}),
}


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("name", RIGHT)
def test_both_accept_it(told, name, version):
    """Each good file, by each helm."""
    assert told(RIGHT[name], version) == ("", "")
