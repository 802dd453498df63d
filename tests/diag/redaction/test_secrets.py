"""The host's own secrets are found where hosts keep them; nothing hangs, nothing is too large."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

from bilbs_cli.diag.redaction import known_secrets


def plant(root: Path, path: str, text: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def found(root: Path) -> set[bytes]:
    return set(known_secrets(root=root, homes=("/root", "/home/bob")).values())


def test_secrets_of_files_are_found_with_their_source(tmp_path: Path) -> None:
    plant(
        tmp_path,
        "/etc/shadow",
        "root:$6$fakesalt1234567$" + "aB3" * 28 + ":19700:0:99999:7:::\ndaemon:*:1:0:99999:7:::\n",
    )
    plant(
        tmp_path,
        "/etc/NetworkManager/system-connections/office.nmconnection",
        "[wifi]\nssid=Office\n[wifi-security]\npsk=wifi-fake-9\n",
    )
    plant(tmp_path, "/etc/wpa_supplicant/wpa_supplicant.conf", 'network={\n ssid="x"\n psk="wpa-fake-88"\n}\n')
    plant(
        tmp_path,
        "/etc/netplan/01.yaml",
        'network:\n  wifis:\n    wlan0:\n      access-points:\n        "Office":\n          password: "plan-fake-77"\n',
    )
    plant(
        tmp_path,
        "/etc/wireguard/wg0.conf",
        "[Interface]\nPrivateKey = " + base64.b64encode(b"w" * 31 + b"1").decode() + "\n",
    )
    plant(tmp_path, "/root/.netrc", "machine api.example login bob password netrc-fake-66\n")
    plant(tmp_path, "/root/.pgpass", "db:5432:app:svc:pgpass-fake-55\n")
    plant(
        tmp_path,
        "/root/.docker/config.json",
        '{"auths": {"nvcr.io": {"auth": "' + base64.b64encode(b"$oauthtoken:docker-fake").decode() + '"}}}',
    )
    plant(
        tmp_path,
        "/home/bob/.aws/credentials",
        "[default]\naws_secret_access_key = AwsFake0123456789AwsFake0123456789AwsFak\n",
    )
    plant(tmp_path, "/home/bob/.kube/config", "users:\n- user:\n    token: kube-fake-token-44\n")
    plant(tmp_path, "/home/bob/.cache/huggingface/token", "hf_" + "fakeFAKE12" * 3)
    plant(tmp_path, "/home/bob/.git-credentials", "https://bob:git-fake-33@git.example\n")
    plant(
        tmp_path, "/home/bob/.config/pip/pip.conf", "[global]\nindex-url = https://bot:pip-fake-22@pypi.local/simple\n"
    )
    known = known_secrets(root=tmp_path, homes=("/root", "/home/bob"))
    for secret in (
        b"$6$fakesalt1234567$" + b"aB3" * 28,
        b"wifi-fake-9",
        b"wpa-fake-88",
        b"plan-fake-77",
        base64.b64encode(b"w" * 31 + b"1"),
        b"netrc-fake-66",
        b"pgpass-fake-55",
        base64.b64encode(b"$oauthtoken:docker-fake"),
        b"AwsFake0123456789AwsFake0123456789AwsFak",
        b"kube-fake-token-44",
        b"hf_" + b"fakeFAKE12" * 3,
        b"git-fake-33",
        b"pip-fake-22",
    ):
        assert secret in known.values(), secret
    assert known["/root/.netrc"] == b"netrc-fake-66"
    assert known["/etc/shadow"].startswith(b"$6$")


def test_of_a_private_key_the_secret_lines_are_taken(tmp_path: Path) -> None:
    lines = ["".join(chr(97 + (i * 7 + j) % 26) + str(j % 10) for j in range(35)) for i in range(8)]
    plant(
        tmp_path,
        "/etc/ssh/ssh_host_ed25519_key",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END OPENSSH PRIVATE KEY-----\n",
    )
    plant(tmp_path, "/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI x")
    assert found(tmp_path) == {line.encode() for line in lines[-3:]}


def test_the_environment_is_read_by_its_names() -> None:
    env = {
        "DB_PASSWORD": "env-fake-1",
        "API_TOKEN": "env-fake-22",
        "PATH": "/usr/bin",
        "EDITOR": "vim-fake-3",
        "SECRET_FILE": "/etc/secret-fake",
        "X_SECRET": "short",
    }
    known = known_secrets(root=Path("/nonexistent"), env=env)
    assert known == {
        "environment variable DB_PASSWORD": b"env-fake-1",
        "environment variable API_TOKEN": b"env-fake-22",
    }


def test_secrets_that_are_handed_over_are_kept() -> None:
    assert known_secrets(root=Path("/nonexistent"), given={"the BMC password": b"hunter2-fake"}) == {
        "the BMC password": b"hunter2-fake"
    }


def test_everyday_words_and_short_values_are_not_hunted(tmp_path: Path) -> None:
    plant(tmp_path, "/etc/freeipmi/freeipmi.conf", "password password\nusername administrator\n")
    plant(tmp_path, "/root/.my.cnf", "[client]\npassword=root\n")
    assert found(tmp_path) == set()


def test_fifos_links_and_huge_files_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "etc/ssh").mkdir(parents=True)
    os.mkfifo(tmp_path / "root/.netrc")
    (tmp_path / "root/.pgpass").symlink_to("/dev/zero")
    (tmp_path / "root/.my.cnf").symlink_to(".my.cnf")
    with (tmp_path / "etc/shadow").open("wb") as stream:
        stream.truncate(1 << 40)
    began = time.monotonic()
    assert found(tmp_path) == set()
    assert time.monotonic() - began < 5


def test_a_secret_that_is_kept_twice_is_listed_once(tmp_path: Path) -> None:
    plant(
        tmp_path, "/root/.netrc", "machine a login b password same-fake-99\nmachine c login d password same-fake-99\n"
    )
    plant(tmp_path, "/home/bob/.netrc", "machine a login b password same-fake-99\n")
    assert list(known_secrets(root=tmp_path, homes=("/root", "/home/bob")).values()) == [b"same-fake-99"]
