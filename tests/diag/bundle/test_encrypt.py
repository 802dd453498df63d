"""Encryption: the real `age` program opens it, and everything that is wrong with a key is said before anything is collected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from bilbs_cli.diag.bundle import encrypt
from bilbs_cli.diag.bundle.encrypt import Recipients, parse_recipients
from bilbs_cli.diag.bundle.reader import Reader
from bilbs_cli.diag.bundle.seal import ENCRYPTED, seal
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.bundle.verify import verify
from bilbs_cli.errors import BilbsError, Exit, OutputUnwritable, SecretFound, UsageProblem
from tests.diag.bundle.making import NAME, finish, front, log, noise, put, run, start
from tests.parts.disk import small_disk


def _pair(folder: Path, name: str = "key.txt") -> tuple[Path, str]:
    """Return a key file of the age program, and its public key."""
    run(["age-keygen", "-o", str(folder / name)])
    return folder / name, run(["age-keygen", "-y", str(folder / name)]).decode().strip()


def test_the_age_program_opens_a_bundle_with_either_key_and_it_verifies(tmp_path: Path) -> None:
    (first, one), (second, two) = _pair(tmp_path, "1.txt"), _pair(tmp_path, "2.txt")
    spool = start(tmp_path / "out", recipients=parse_recipients([one, two]))
    put(spool, "kern/kern.log", log(1, 900_000))
    put(spool, "gpu/dump", noise(1, 900_000))
    sealed = finish(spool)
    assert sealed.path.name == f"{NAME}.tar.zst.age"
    assert list((tmp_path / "out").iterdir()) == [sealed.path]
    assert run(["sha256sum", str(sealed.path)]).decode().split()[0] == sealed.sha256
    assert sealed.size_bytes == sealed.path.stat().st_size
    assert sealed.path.stat().st_mode & 0o777 == 0o600
    for key in (first, second):
        plain = tmp_path / f"{key.stem}.tar.zst"
        run(["age", "-d", "-i", str(key), "-o", str(plain), str(sealed.path)])
        assert verify(plain).members == 6


def test_a_stranger_reads_nothing_of_it(tmp_path: Path) -> None:
    _, public = _pair(tmp_path)
    stranger, _ = _pair(tmp_path, "other.txt")
    spool = start(tmp_path / "out", recipients=parse_recipients([public]))
    put(spool, "gpu/marker", b"NOBODY-READS-THIS " * 50)
    sealed = finish(spool)
    ended = subprocess.run(
        ["age", "-d", "-i", str(stranger), str(sealed.path)], capture_output=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"NOBODY" not in sealed.path.read_bytes()


def test_recipients_come_from_a_file_with_comments(tmp_path: Path) -> None:
    keys = [_pair(tmp_path, f"{n}.txt")[1] for n in range(3)]
    listed = tmp_path / "team.txt"
    listed.write_text(f"# the desk\n{keys[0]}\n\n  {keys[1]}  \r\n# end")
    assert parse_recipients([str(listed), keys[2], keys[0]]).keys == (keys[0], keys[1], keys[2])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "names no recipient"),
        (["age1qqqqqq"], "'age1qqqqqq' is not an age recipient"),
        (["AGE1" + "q" * 58], "is not an age recipient"),
        (["/nowhere/keys.txt"], "neither an age recipient nor a file"),
        (["/dev/null"], "neither an age recipient nor a file"),
        (["ssh-ed25519 AAAA"], "neither an age recipient nor a file"),
    ],
)
def test_a_bad_recipient_is_a_usage_error(values: list[str], said: str) -> None:
    with pytest.raises(UsageProblem, match=said) as caught:
        parse_recipients(values)
    assert caught.value.exit is Exit.USAGE
    assert "age-keygen" in caught.value.next


def test_one_bad_line_in_a_file_refuses_all(tmp_path: Path) -> None:
    _, public = _pair(tmp_path)
    (tmp_path / "list").write_text(f"{public}\nnot-a-key\n")
    with pytest.raises(UsageProblem, match="'not-a-key' is not an age recipient"):
        parse_recipients([str(tmp_path / "list")])
    (tmp_path / "empty").write_text("# none\n")
    with pytest.raises(UsageProblem, match="holds no age recipient"):
        parse_recipients([str(tmp_path / "empty")])


def test_a_fifo_as_list_of_recipients_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageProblem, match="a FIFO"):
        parse_recipients([str(tmp_path / "fifo")])


def test_a_secret_key_given_by_mistake_is_refused_and_never_shown(tmp_path: Path) -> None:
    key, _ = _pair(tmp_path)
    secret = next(line for line in key.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))
    for value in (secret, secret.lower(), str(key)):
        with pytest.raises(UsageProblem, match="a secret key") as caught:
            parse_recipients([value])
        assert secret[15:].lower() not in f"{caught.value} {caught.value.next} {caught.value.safe}".lower()


def test_without_the_library_nothing_is_collected(tmp_path: Path) -> None:
    """A whole interpreter, in which pyrage cannot be imported."""
    _, public = _pair(tmp_path)
    program = (
        "import sys; sys.modules['pyrage'] = None\n"
        "from bilbs_cli.diag.bundle.encrypt import parse_recipients\n"
        "from bilbs_cli.errors import BilbsError\n"
        "try: parse_recipients(sys.argv[1:])\n"
        "except BilbsError as error: print(error.code, error.safe)\n"
    )
    assert run([sys.executable, "-c", program, public]).decode() == "no-encryption nothing was written unencrypted\n"


def test_an_encryption_that_breaks_leaves_no_plain_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, public = _pair(tmp_path)
    spool = start(tmp_path / "out", recipients=Recipients((public,)))
    put(spool, "gpu/x", noise(1, 100_000))

    def broken(*_: object) -> None:
        raise pyrage.EncryptError("no")

    monkeypatch.setattr(pyrage, "encrypt_io", broken)
    with pytest.raises(BilbsError) as caught:
        finish(spool)
    spool.close()
    assert caught.value.code == "no-encryption"
    assert list((tmp_path / "out").iterdir()) == [spool.volume.path]
    monkeypatch.undo()
    assert finish(Spool.reopen(spool.volume.path)).path.read_bytes().startswith(b"age-encryption.org/v1")


def test_a_disk_that_fills_during_encryption_is_named_and_freed_again(tmp_path: Path) -> None:
    _, public = _pair(tmp_path)
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        spool = start(disk.path, recipients=Recipients((public,)))
        put(spool, "gpu/x", noise(1, 4 << 20))
        with pytest.raises(OutputUnwritable) as caught:
            finish(spool)
        spool.close()
        assert caught.value.code == "disk-full"
        assert not (spool.volume.path / ENCRYPTED).exists()
        disk.remount("size=16m")
        assert finish(Spool.reopen(spool.volume.path)).path.name.endswith(".age")


def test_the_gate_sees_what_is_inside_an_encrypted_bundle(tmp_path: Path) -> None:
    _, public = _pair(tmp_path)
    spool = start(tmp_path / "out", recipients=Recipients((public,)))
    put(spool, "gpu/x", b"secret")

    def gate(archive: Reader) -> None:
        if any(b"secret" in member.read(1 << 20) for member in archive):
            raise SecretFound("found")

    with pytest.raises(SecretFound):
        seal(spool, front, gate=gate)
    assert list((tmp_path / "out").iterdir()) == []


def test_large_content_is_encrypted_in_flat_memory(tmp_path: Path) -> None:
    program = (
        "import os, re, sys\n"
        "from bilbs_cli.diag.bundle.encrypt import encrypt\n"
        "source, target = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)\n"
        "encrypt(source, target, [sys.argv[3]])\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    _, public = _pair(tmp_path)
    sizes = []
    for size in (1 << 20, 96 << 20):
        with (tmp_path / "plain").open("wb") as plain:
            plain.truncate(size)
        sizes.append(int(run([sys.executable, "-c", program, str(tmp_path / "plain"), str(tmp_path / "out"), public])))
    assert sizes[1] - sizes[0] < 8 << 10  # KiB


def test_the_suffix_says_that_it_is_encrypted() -> None:
    assert encrypt.SUFFIX == ".age"
