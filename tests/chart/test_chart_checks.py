"""What others' rules say of what is rendered: the schemas of Kubernetes' API, and checkov."""

import pytest
import yaml
from chart import manifest
from chart_checks import ACCEPTED, FOREIGN, NAMES, SETS, VERSIONS, checked, rendered, validated


@pytest.fixture(name="file", params=NAMES)
def _file(request, tmp_path):
    file = tmp_path / f"{request.param}.yaml"
    file.write_text(rendered(request.param), encoding="utf-8")
    return file


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(file, version):
    """Each object fits the API's own schema, without a field that it does not have."""
    kinds = [one["kind"] for one in yaml.safe_load_all(file.read_text()) if one]
    own = [kind for kind in kinds if kind not in FOREIGN]
    assert validated(file, version) == (len(own), {*kinds} - {*own}, "")


def test_checkov(file):
    """Nothing that checkov knows to be careless, but for what was looked at and has a reason."""
    found = checked(file)
    assert found.passed > 300
    assert not found.failed


def test_what_is_accepted_is_found(tmp_path):
    """A check that nothing fails any more is not accepted in advance."""
    file = tmp_path / "all.yaml"
    file.write_text("".join(manifest(over) for over in SETS.values()), encoding="utf-8")
    assert checked(file).accepted.keys() == ACCEPTED.keys()
