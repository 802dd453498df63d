"""The client against real TLS, a real proxy and hostile answers: whom it trusts, and what it takes for the desk's word."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from bilbs_cli.errors import ConfigProblem, PermissionNeeded
from bilbs_cli.support import api, transport
from bilbs_cli.support.api import Answer, Later, Taken
from bilbs_cli.support.transport import Options
from tests.parts.tls import Authority, forward_proxy, tls_desk

TOKEN = "a-token-of-the-tests"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def post(url: str, ca: Path | None, proxy: str | None = None) -> Answer:
    with api.Desk(url, TOKEN, Options(str(ca) if ca else None, proxy)) as desk:
        return desk.post("/tickets", {}, "a-key-of-the-tests", 5)


def test_a_desk_of_the_company_s_own_authority_is_trusted_with_its_bundle(authority: Authority) -> None:
    with tls_desk(authority.server("good")) as (url, seen):
        assert post(url, authority.path) == Taken({"id": "tkt_1"})
        assert seen == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize("kind", ["unknown", "expired", "host"])
def test_a_certificate_that_does_not_hold_gets_no_token(authority: Authority, kind: str) -> None:
    certificate = {
        "unknown": lambda: authority.server("good"),
        "expired": lambda: authority.server("old", days=-1),
        "host": lambda: authority.server("other", "desk.example"),
    }[kind]()
    with tls_desk(certificate) as (url, seen):
        answer = post(url, None if kind == "unknown" else authority.path)
        assert isinstance(answer, Later)
        assert "certificate" in answer.reason.lower()
        assert seen == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_an_old_tls_gets_no_token(authority: Authority) -> None:
    with tls_desk(authority.server("good"), highest=ssl.TLSVersion.TLSv1_1) as (url, seen):
        assert isinstance(post(url, authority.path), Later)
        assert seen == []


def test_the_system_s_authorities_stay_trusted_beside_the_bundle(authority: Authority) -> None:
    before = {one["serialNumber"] for one in ssl.create_default_context().get_ca_certs()}
    after = {one["serialNumber"] for one in transport.trust(Options(str(authority.path))).get_ca_certs()}
    assert before <= after
    assert len(after - before) == 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_bundle_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigProblem, match=str(path)):
        api.Desk("https://127.0.0.1/v1", TOKEN, Options(str(path)))


def test_a_proxy_sees_the_host_and_not_the_token(authority: Authority) -> None:
    with tls_desk(authority.server("good")) as (url, seen), forward_proxy() as (proxy, asked):
        assert post(url, authority.path, proxy) == Taken({"id": "tkt_1"})
        assert asked == [url.removeprefix("https://").removesuffix("/v1")]
        assert seen == [f"Bearer {TOKEN}"]


def test_a_proxy_from_the_environment_is_used_as_well(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_desk(authority.server("good")) as (url, _), forward_proxy() as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert isinstance(post(url, authority.path), Taken)
        assert len(asked) == 1


def test_a_desk_that_wants_a_certificate_gets_this_box_s_own(authority: Authority) -> None:
    own = authority.server("box")
    own.chmod(0o600)
    with tls_desk(authority.server("good"), clients_of=authority.path) as (url, seen):
        without = post(url, authority.path)
        assert isinstance(without, Later)
        assert seen == []
        with api.Desk(url, TOKEN, Options(str(authority.path), client_cert=str(own))) as desk:
            assert isinstance(desk.post("/tickets", {}, "a-key-of-the-tests", 5), Taken)


@pytest.mark.parametrize("case", ["readable", "missing", "garbage"])
def test_a_certificate_that_cannot_be_used_is_named_before_anything_is_sent(authority: Authority, case: str) -> None:
    own = authority.server("box")
    own.chmod(0o644 if case == "readable" else 0o600)
    if case == "missing":
        own.unlink()
    if case == "garbage":
        own.write_bytes(b"no certificate")
    with pytest.raises((ConfigProblem, PermissionNeeded), match=str(own)):
        api.Desk("https://127.0.0.1/v1", TOKEN, Options(client_cert=str(own)))


def test_a_netrc_does_not_replace_the_token(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with tls_desk(authority.server("good")) as (url, seen):
        post(url, authority.path)
        assert seen == [f"Bearer {TOKEN}"]
