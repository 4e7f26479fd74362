"""The camera page's certificate: services.ingest.web.certificate, and services.ingest.web.self_signed."""

import datetime as dt
import stat

import pytest
from cryptography import x509

from services.ingest.settings import WebSettings
from services.ingest.web import self_signed as sut
from services.ingest.web.certificate import served
from services.kernel.faults import StartError

NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)


def names(pem):
    known = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in known]


def test_one_of_our_own_names_this_machine(tmp_path):
    """The names that people type come first; it is valid for less than the 825 days that phones allow."""
    wanted = ["kiosk.example.org", "192.0.2.77"]
    pem, _ = sut.self_signed(sut.names_of(wanted), NOW)
    assert names(pem)[:2] == wanted
    assert {"localhost", "127.0.0.1"} <= set(names(pem))
    made = x509.load_pem_x509_certificate(pem)
    assert made.not_valid_after_utc - made.not_valid_before_utc <= dt.timedelta(days=825)


def test_in_memory_unless_a_folder_is_set(tmp_path, monkeypatch):
    """Without `certificate_dir` nothing is written, and each start shows another one."""
    monkeypatch.chdir(tmp_path)
    first, second = (served(WebSettings(), NOW) for _ in range(2))
    assert first.fingerprint != second.fingerprint
    assert list(tmp_path.iterdir()) == []


def test_it_is_kept_in_the_folder_until_it_no_longer_fits(tmp_path, monkeypatch):
    """The same over restarts and new addresses, its key for its owner alone; another one a month before its end or for
    a name that people are to type."""
    settings = WebSettings(certificate_dir=str(tmp_path))
    shown = [served(settings, NOW).fingerprint]
    monkeypatch.setattr(sut, "names_of", lambda wanted: [*wanted, "192.0.2.99", "localhost"])  # a lease ran out
    shown.append(served(settings, NOW).fingerprint)
    assert shown[0] == shown[1]
    assert stat.S_IMODE((tmp_path / "moretta.key").stat().st_mode) == 0o600
    later = served(settings, NOW + dt.timedelta(days=sut.VALID_DAYS - 20)).fingerprint
    renamed = served(WebSettings(certificate_dir=str(tmp_path), names=["new.example.org"]), NOW).fingerprint
    assert len({shown[0], later, renamed}) == 3


@pytest.mark.parametrize("name", ["moretta.key", "moretta.crt"])
@pytest.mark.parametrize("content", [b"", None, b"of another pair"])
def test_half_of_a_pair_is_made_again(tmp_path, name, content):
    """As a power cut between both files may leave it. A link in the place of one leads nowhere."""
    sut.kept(tmp_path, [], NOW)
    if content == b"of another pair":
        content = sut.self_signed(["a.example.org"], NOW)[name == "moretta.key"]
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (tmp_path / f"{name}.new").symlink_to(tmp_path / "other")
    served(WebSettings(certificate_dir=str(tmp_path)), NOW)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["moretta.crt", "moretta.key"]


def test_the_operators_own_is_taken_and_taken_again(tmp_path):
    """A renewed file is in force for new connections without a restart; a broken one is named and the old one stays."""
    files = {"certificate": tmp_path / "a.crt", "key": tmp_path / "a.key"}
    settings = WebSettings(**{name: str(file) for name, file in files.items()})
    for name, content in zip(files, sut.self_signed(["a.example.org"], NOW), strict=True):
        files[name].write_bytes(content)
    serving = served(settings, NOW)
    first = (serving.context, serving.fingerprint)
    assert serving.context is first[0]
    for name, content in zip(files, sut.self_signed(["a.example.org"], NOW), strict=True):
        files[name].write_bytes(content)
    second = (serving.context, serving.fingerprint)
    assert not set(first) & set(second)
    files["key"].write_text("nonsense")
    with pytest.raises(StartError, match=r"ingest\.web\.key: cannot use .*a\.key: it holds no private key"):
        serving.renew()
    assert (serving.context, serving.fingerprint) == second
    files["certificate"].unlink()
    with pytest.raises(StartError, match="No such file"):
        served(settings, NOW)
