"""What TLS speaks with, and how its files change: services.kernel.tls."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from authority import ENDS, Authority, Volume, only_these
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.kernel.log import configure
from services.kernel.tls import SYSTEM, CertificateError, Named, client_tls, server_tls, server_tls_of_pem
from services.kernel.tls.tls import Loaded, Tls

OURS, OTHER = Authority(), Authority()
A, B = (OURS.issue("a.example") for _ in range(2))
EXPIRY = "moretta_certificate_expiry_timestamp_seconds"


@pytest.fixture(autouse=True)
def _only_these(monkeypatch):
    only_these(monkeypatch)


def files(ca=SYSTEM, cert=None, key=None):
    return SimpleNamespace(ca_file=str(ca), client_cert_file=cert and str(cert), client_key_file=key and str(key))


def key_of(pem, *, password=None):
    key = serialization.load_pem_private_key(pem, None)
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def expiry(use, side):
    return REGISTRY.get_sample_value(EXPIRY, {"use": use, "side": side})


def failed(use):
    return REGISTRY.get_sample_value("moretta_certificate_renewal_failed", {"use": use})


def test_the_systems_authorities_are_loaded_again_when_they_are_others(tmp_path, monkeypatch):
    """Who only reads them changes the time of the last access; while they are replaced they may be away."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(OURS.pem)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile=str(bundle)))
    tls = client_tls("smtp", "notify.smtp", files())
    before, found = tls.context, bundle.stat()
    os.utime(bundle, ns=(found.st_atime_ns + 10**10, found.st_mtime_ns))
    assert tls.context is before
    os.utime(bundle, ns=(found.st_atime_ns, found.st_mtime_ns + 10**10))
    assert tls.context is not before
    bundle.unlink()
    assert not tls.is_stale
    assert tls.context is not before


@pytest.mark.parametrize(
    ("wrong", "field", "why"),
    [
        ({"ca": "gone"}, "ca_file", "No such file or directory"),
        ({"ca": "."}, "ca_file", "Is a directory"),
        ({"ca": "text"}, "ca_file", "it holds no PEM certificate"),
        ({"ca": "cut"}, "ca_file", "it holds no PEM certificate"),
        ({"cert": "gone"}, "client_cert_file", "No such file or directory"),
        ({"cert": "key"}, "client_cert_file", "it holds no PEM certificate"),
        ({"cert": "ca"}, "client_cert_file", "it holds no private key in PEM"),
        ({"cert": "a", "key": "gone"}, "client_key_file", "No such file or directory"),
        ({"cert": "a", "key": "text"}, "client_key_file", "it holds no private key in PEM"),
        ({"cert": "a", "key": "b"}, "client_key_file", "it is not the key of the certificate in "),
        ({"cert": "a", "key": "locked"}, "client_key_file", "its key is encrypted; give one without a password"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, wrong, field, why):
    """By its place in the settings, its path, and what is wrong with it; nothing asks at a terminal."""
    contents = {"text": b"no PEM", "cut": OURS.pem[:200], "ca": OURS.pem, "a": A, "b": B}
    contents |= {"key": key_of(A), "locked": key_of(A, password=b"x")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    named = files(**{"ca": tmp_path / "ca"} | {key: tmp_path / name for key, name in wrong.items()})
    with pytest.raises(CertificateError) as error:
        client_tls("nats", "nats", named)
    file = tmp_path / list(wrong.values())[-1]
    assert str(error.value).startswith(f"nats.{field}: cannot use {file}: {why}")


def test_only_who_is_named_is_believed(tmp_path, monkeypatch):
    """A file stands for itself alone, and the system's authorities are taken only when that is said. No keys leak."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    bundle = tmp_path / "ca"
    bundle.write_bytes("# Főtanúsítvány\n".encode() + OURS.pem + OTHER.pem)
    own, system = (client_tls("nats", "nats", files(ca)).context for ca in (bundle, SYSTEM))
    assert len(own.get_ca_certs()) == own.cert_store_stats()["x509_ca"] == 2
    expected = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    expected.load_default_certs()
    assert system.cert_store_stats() == expected.cert_store_stats()
    serving = server_tls_of_pem("whip", A, key_of(A)).context
    for context in (own, system, serving):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.keylog_filename is None
    for context in (own, system):
        assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    blind = client_tls("smtp", "smtp", files(), verify=False).context
    assert (blind.check_hostname, blind.verify_mode) == (False, ssl.CERT_NONE)


def test_a_renewed_secret_is_in_force_and_a_broken_one_is_not(tmp_path, capsys):
    """Links are swapped below our feet; what can't be used is said once, shown as a metric, and mended by the next."""
    configure("notify")
    secret = Volume(tmp_path / "tls", crt=A, key=key_of(A))
    tls = server_tls("whip", Named("crt", secret.crt), Named("key", secret.key))
    told = []
    tls.renewed = lambda: told.append(tls.fingerprint)
    first = tls.context
    assert (tls.context, failed("whip")) == (first, 0)
    secret.put(crt=B, key=key_of(B))
    second = tls.context
    assert (second is not first, told) == (True, [tls.fingerprint])
    secret.put(crt=B, key=key_of(A))
    assert [tls.context, tls.context] == [second, second]
    assert failed("whip") == 1
    for _ in range(2):
        with pytest.raises(CertificateError, match=r"key: cannot use .*: it is not the key of the certificate in"):
            tls.renew()
    secret.put(crt=A, key=key_of(A))
    tls.renew()
    assert (failed("whip"), len(told)) == (0, 2)
    said = capsys.readouterr().err
    assert said.count("changed certificate files not usable") == 1
    assert said.count("new certificate files in force") == 2


def test_when_certificates_end(tmp_path, capsys):
    """Of several the first; of authorities the last, since a bundle may hold one that goes; an invalid one is told."""
    configure("notify")
    now = datetime.now(UTC).replace(microsecond=0)
    soon, late = now + timedelta(days=3), now + timedelta(days=30)
    for name, pem in {"ca": OURS.pem, "soon": OURS.issue("x", ends=soon), "late": OURS.issue("x", ends=late)}.items():
        (tmp_path / name).write_bytes(pem)
    made = [client_tls("sms", "sms", files(tmp_path / "ca", tmp_path / name)) for name in ("late", "soon")]
    assert expiry("sms", "own") == soon.timestamp()
    assert expiry("sms", "authority") > late.timestamp()
    assert expiry("sms", "peer") is None
    assert "not valid" not in capsys.readouterr().err
    (tmp_path / "soon").write_bytes(OURS.issue("x"))  # renewed: seen although nobody connects
    assert expiry("sms", "own") == late.timestamp()
    (tmp_path / "late").write_bytes(OURS.issue("x", ends=now - timedelta(days=1), begins=now - timedelta(days=9)))
    assert expiry("sms", "own") == (now - timedelta(days=1)).timestamp()
    assert "own certificate not valid" in capsys.readouterr().err
    del made
    assert expiry("sms", "own") is None
    assert now < ENDS


GOOD = {b"A", b"B"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.lists(st.sampled_from([*GOOD, b"broken", "gone"]), min_size=1, max_size=12), max_size=6))
def test_what_is_in_force_was_whole(turns):
    """Files may change between the reading of one and of the next: the last pair that fits is in force."""
    states = [b"A"]

    def read():
        return [states.pop(0) if len(states) > 1 else states[0] for _ in range(2)]

    def load(contents):
        if contents[0] not in GOOD or contents[0] != contents[1]:
            raise CertificateError("field", "no pair")
        return Loaded(contents[0], None, None)

    tls = Tls("nats", read, load)
    before = tls.context
    for turn in turns:
        states[:] = turn
        while len(states) > 1:
            tls.look()
        assert tls.look().context in {before, *turn} & GOOD
        assert tls.is_stale == (turn[-1] not in GOOD)
        if not tls.is_stale:
            assert tls.context == turn[-1]
        before = tls.context
