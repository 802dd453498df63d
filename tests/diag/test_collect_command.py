"""`bilbs diag collect` as a whole process: what a person, a cron job and an engineer on SSH get from it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import zstandard
from jsonschema import Draft202012Validator

import bilbs_cli
from tests.conftest import Bilbs
from tests.diag.redaction.examples import expand, forms
from tests.diag.redaction.oracle import holds
from tests.parts import nvml
from tests.parts.bmc.box import PASSWORD, USER
from tests.parts.bmc.sim import simulator
from tests.parts.disk import small_disk
from tests.parts.patience import BUSY_S

SECRET = "correct-horse-battery-staple-7731"
SOAK = bool(os.environ.get("BILBS_SOAK"))
COLLECT = [sys.executable, "-m", "bilbs_cli", "diag", "collect", "--progress", "none"]


def opened(path: Path) -> dict[str, bytes]:
    """Return the members of a bundle by their name below the top folder, read by libraries that are not ours."""
    with path.open("rb") as stream:
        plain = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return {name.partition("/")[2]: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def manifest(path: Path) -> dict[str, dict[str, object]]:
    return {item["path"]: item for item in json.loads(opened(path)["manifest.json"])["items"]}


@pytest.fixture
def dead_system(tmp_path: Path) -> Path:
    """Make a mounted system that is not running, with a secret in its log."""
    root = tmp_path / "mnt"
    (root / "var/log").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n')
    lines = [f"Nov 21 03:{n % 60:02d}:00 gpu01 kernel: [{n}.000001] line {n} of the log\n" for n in range(400)]
    lines[100] = (
        "Nov 21 03:30:12 gpu01 kernel: [  42.1] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', GPU has fallen off the bus.\n"
    )
    lines[200] = f"Nov 21 03:31:00 gpu01 app[7]: connect postgres://svc:{SECRET}@db:5432/x\n"
    (root / "var/log/kern.log").write_text("".join(lines))
    return root


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml.build(tmp_path_factory.mktemp("nvml"))


def test_it_prints_the_path_and_the_bundle_is_whole(bilbs: Bilbs, tmp_path: Path) -> None:
    ended = bilbs("diag", "collect", "-o", str(tmp_path))
    assert ended.status == 0, ended.stderr
    path = Path(ended.stdout.strip())
    assert path.parent == tmp_path
    assert path.stat().st_mode & 0o777 == 0o600
    assert next(iter(opened(path))) == "SUMMARY.txt"
    assert bilbs("diag", "verify", str(path)).status == 0
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "the work folder stayed"


def test_json_names_path_digest_size_status_and_items(bilbs: Bilbs, tmp_path: Path) -> None:
    ended = bilbs("diag", "collect", "-o", str(tmp_path), "--json")
    data = ended.json["data"]
    path = Path(data["path"])
    assert data["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert data["size_bytes"] == path.stat().st_size
    assert data["status"] == "complete"
    assert {"name", "status", "duration_s", "size_bytes"} <= set(data["items"][0])
    assert {item["name"] for item in data["items"] if item["kind"] == "collector"} == {
        "gpu",
        "bmc",
        "kernel",
        "pci",
        "storage",
        "network",
        "system",
        "services",
    }


def test_every_member_has_the_digest_of_the_manifest(bilbs: Bilbs, tmp_path: Path) -> None:
    path = Path(bilbs("diag", "collect", "-o", str(tmp_path)).stdout.strip())
    members = opened(path)
    for name, item in manifest(path).items():
        if item["sha256"]:
            assert hashlib.sha256(members[name]).hexdigest() == item["sha256"], name
        else:
            assert f"{name}.err.txt" in members, f"no reason beside the gap {name}"


def test_facts_follow_their_published_schema(bilbs: Bilbs, tmp_path: Path, driver: Path) -> None:
    schema = json.loads((Path(bilbs_cli.__file__).parent / "diag/facts.schema.json").read_text())
    with simulator(tmp_path) as bmc:
        password = private(tmp_path / "password", PASSWORD)
        ended = bilbs(
            "diag",
            "collect",
            "-o",
            str(tmp_path),
            "--bmc-host",
            "127.0.0.1",
            "--bmc-port",
            str(bmc.port),
            "--bmc-user",
            USER,
            "--bmc-password-file",
            str(password),
            env={"LD_LIBRARY_PATH": str(driver), "FAKE_NVML_TABLE": str(nvml.TABLE)},
        )
    facts = json.loads(opened(Path(ended.stdout.strip()))["facts.json"])
    Draft202012Validator(schema).validate(facts)
    assert facts["facts"]["gpu"]["devices"]
    assert facts["facts"]["bmc"]["sensors"]


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_dead_system_is_read_and_its_secret_stays_behind(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    ended = bilbs("diag", "collect", "--sysroot", str(dead_system), "--since", "all", "-o", str(tmp_path))
    members = opened(Path(ended.stdout.strip()))
    log = next(content for name, content in members.items() if name.endswith("kern.log"))
    assert b"NVRM: Xid (PCI:0000:3b:00): 79" in log
    assert log.count(b"\n") == 400
    assert not [name for name, content in members.items() if SECRET.encode() in content]
    assert b"Xid 79: the GPU has fallen off the PCIe bus [xid.79]" in b" ".join(members["SUMMARY.txt"].split())


def test_a_bundle_streams_to_stdout_and_leaves_nothing_behind(tmp_path: Path, dead_system: Path) -> None:
    before = {str(path) for place in ("/dev/shm", "/var/tmp", "/tmp") for path in Path(place).glob(".bilbs-diag-*")}
    done = subprocess.run(
        [*COLLECT, "--sysroot", str(dead_system), "-o", "-"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "bundle.tar.zst").write_bytes(done.stdout)
    assert "SUMMARY.txt" in opened(tmp_path / "bundle.tar.zst")
    assert hashlib.sha256(done.stdout).hexdigest().encode() in done.stderr
    after = {str(path) for place in ("/dev/shm", "/var/tmp", "/tmp") for path in Path(place).glob("*bilbs-diag-*")}
    assert after <= before


def test_stdout_and_json_together_are_refused_before_anything_is_read(bilbs: Bilbs) -> None:
    ended = bilbs("diag", "collect", "-o", "-", "--json")
    assert ended.status == 2
    assert ended.json["errors"][0]["code"] == "usage"


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path, dead_system: Path) -> None:
    command = " ".join(
        [*COLLECT, "--sysroot", str(dead_system), "-o", "-", "| head -c 100 >/dev/null; echo ${PIPESTATUS[0]}"]
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert "crash" not in done.stderr


def test_a_closed_stdout_does_not_lose_the_bundle(tmp_path: Path, dead_system: Path) -> None:
    command = " ".join([*COLLECT, "--sysroot", str(dead_system), "-o", str(tmp_path / "out"), ">&-"])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "out").glob("*.tar.zst"))) == 1


@pytest.mark.parametrize(
    "env",
    [
        {"HOME": None, "BILBS_STATE_DIR": None},
        {"LC_ALL": "POSIX", "LANG": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"TERM": "dumb"},
        {"COLUMNS": "20"},
    ],
)
def test_it_works_in_a_poor_environment(
    bilbs: Bilbs, tmp_path: Path, dead_system: Path, env: dict[str, str | None]
) -> None:
    (dead_system / "var/log/syslog").write_text("é 日本 \x1b]0;evil\x07 line\n")
    ended = bilbs(
        "diag", "collect", "--sysroot", str(dead_system), "--since", "all", "-o", str(tmp_path / "out"), env=env
    )
    assert ended.status == 0, ended.stderr
    assert Path(ended.stdout.strip()).exists()


def test_a_read_only_folder_is_named_and_nothing_is_collected(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    with small_disk(tmp_path / "disk", 32 << 20) as disk:
        disk.remount("ro")
        ended = bilbs("diag", "collect", "--sysroot", str(dead_system), "-o", str(disk.path))
    assert ended.status == 73
    assert "read-only" in ended.stderr
    assert "tmpfs mounted on" in ended.stderr


def test_a_disk_without_room_is_named_with_what_is_needed(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        ended = bilbs("diag", "collect", "--sysroot", str(dead_system), "-o", str(disk.path))
        assert list(disk.path.iterdir()) == []
    assert ended.status == 73
    assert "needed" in ended.stderr
    assert f"tmpfs mounted on {disk.path}" in ended.stderr


def test_a_disk_that_fills_up_still_gives_a_sealed_bundle(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    noise = random.Random(3)
    for number in range(4):
        (dead_system / f"var/log/syslog.{number + 1}").write_bytes(
            b"\n".join(noise.randbytes(40).hex().encode() for _ in range(150_000))
        )
    with small_disk(tmp_path / "disk", 9 << 20) as disk:
        ended = bilbs(
            "diag", "collect", "--sysroot", str(dead_system), "--since", "all", "-o", str(disk.path), "--json"
        )
        assert ended.status == 20, ended.stderr
        assert ended.json["data"]["status"] == "partial"
        path = Path(ended.json["data"]["path"])
        assert bilbs("diag", "verify", str(path)).status == 0
        assert b"no space left" in opened(path)["SUMMARY.txt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_was_read_and_says_how_to_go_on(
    bilbs: Bilbs, tmp_path: Path, number: signal.Signals
) -> None:
    tools = hanging_tools(tmp_path / "tools", "lspci")
    process = subprocess.Popen(
        [*COLLECT, "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    wait_for(lambda: list((tmp_path / "out").glob(".*.work")))
    time.sleep(1.0)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "bilbs diag resume" in said
    assert not list((tmp_path / "out").glob("*.tar.zst"))
    ended = bilbs("diag", "resume", "-o", str(tmp_path / "out"))
    assert ended.status == 0, ended.stderr
    assert bilbs("diag", "verify", ended.stdout.strip()).status == 0


def hanging_tools(folder: Path, *names: str) -> Path:
    """Programs that ignore SIGTERM and never end, first on PATH."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text('#!/bin/sh\ntrap "" TERM INT HUP\necho started\nwhile :; do sleep 1; done\n')
        (folder / name).chmod(0o755)
    return folder


def wait_for(there: object, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not there():  # type: ignore[operator]
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@pytest.fixture
def killing_ground(tmp_path: Path) -> Path:
    """Make logs large enough that a kill finds the run in every stage."""
    root = tmp_path / "mnt"
    (root / "var/log").mkdir(parents=True)
    noise = random.Random(5)
    for number in range(4):
        lines = (
            f"Nov 21 03:30:12 gpu01 app: {noise.randbytes(12).hex()} password={SECRET} {noise.randbytes(20).hex()}\n"
            for _ in range(20_000)
        )
        (root / f"var/log/syslog.{number + 1}").write_text("".join(lines))
    return root


def test_sigkill_anywhere_leaves_a_bundle_that_resume_finishes_and_no_secret_on_disk(
    bilbs: Bilbs, tmp_path: Path, killing_ground: Path
) -> None:
    argv = [*COLLECT, "--sysroot", str(killing_ground), "--since", "all", "-o"]
    began = time.monotonic()
    subprocess.run([*argv, str(tmp_path / "whole")], check=True, capture_output=True)
    whole = time.monotonic() - began
    moments = random.Random(11)
    for number in range(200 if SOAK else 5):
        out = tmp_path / f"out{number}"
        process = subprocess.Popen(
            [*argv, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moments.uniform(0.15, whole))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.05)
        assert_no_secret_below(out)
        if not out.exists() or not any(out.iterdir()):
            continue  # killed before it began
        ended = bilbs("diag", "resume", "-o", str(out))
        for path in out.glob("*.tar.zst"):
            assert bilbs("diag", "verify", str(path)).status == 0, f"kill {number}: {ended.stderr}"
            assert SECRET.encode() not in b"".join(opened(path).values())
        assert not list(out.glob(".*.work")), f"kill {number}: {ended.stderr}"
    assert list(tmp_path.glob("out*/*.tar.zst")), "no kill ever left a bundle: the test tests nothing"


def assert_no_secret_below(folder: Path) -> None:
    for path in folder.rglob("*") if folder.exists() else ():
        if path.is_file():
            raw = path.read_bytes()
            assert SECRET.encode() not in raw
            for start in range(len(raw)):  # every frame that starts anywhere in the file
                if raw[start : start + 4] == b"\x28\xb5\x2f\xfd":
                    try:
                        plain = zstandard.ZstdDecompressor().decompressobj().decompress(raw[start:])
                    except zstandard.ZstdError:
                        continue
                    assert SECRET.encode() not in plain


def test_the_deadline_holds_against_everything_that_hangs_at_once(bilbs: Bilbs, tmp_path: Path, driver: Path) -> None:
    tools = hanging_tools(tmp_path / "tools", "lspci", "lsblk", "ip")
    deadline = 6.0
    with simulator(tmp_path) as bmc:
        password = private(tmp_path / "password", PASSWORD)
        bmc.freeze()
        began = time.monotonic()
        ended = bilbs(
            "diag",
            "collect",
            "-o",
            str(tmp_path / "out"),
            "--deadline",
            str(deadline),
            "--json",
            "--bmc-host",
            "127.0.0.1",
            "--bmc-port",
            str(bmc.port),
            "--bmc-user",
            USER,
            "--bmc-password-file",
            str(password),
            env={
                "PATH": f"{tools}:{os.environ['PATH']}",
                "LD_LIBRARY_PATH": str(driver),
                "FAKE_NVML_TABLE": str(nvml.TABLE),
                "FAKE_NVML_HANG": "nvmlDeviceGetPowerUsage:1",
            },
        )
        took = time.monotonic() - began
    assert took < deadline + 2 + BUSY_S
    assert ended.status == 20, ended.stderr
    data = ended.json["data"]
    assert data["status"] == "partial"
    assert bilbs("diag", "verify", data["path"]).status == 0
    named = json.dumps([item for item in data["items"] if item["status"] == "timeout"])
    for name in ("bmc", "gpu", "lspci", "lsblk", "ip-"):
        assert name in named, f"{name} is not named in {named}"
    facts = json.loads(opened(Path(data["path"]))["facts.json"])["facts"]
    assert facts["gpu"]["devices"]["0"]["power_w"].keys() == {"value"}
    assert facts["gpu"]["devices"]["1"]["power_w"]["error"]["class"] == "Timeout"


def test_an_encrypted_bundle_opens_for_its_key_alone(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True)
    (tmp_path / "key").write_text(key.stdout)
    recipient = next(line.split()[-1] for line in key.stdout.splitlines() if "public key" in line)
    ended = bilbs(
        "diag", "collect", "--sysroot", str(dead_system), "-o", str(tmp_path / "out"), "--encrypt-to", recipient
    )
    assert ended.status == 0, ended.stderr
    path = Path(ended.stdout.strip())
    assert path.suffix == ".age"
    subprocess.run(
        ["age", "-d", "-i", str(tmp_path / "key"), "-o", str(tmp_path / "plain.tar.zst"), str(path)], check=True
    )
    assert "SUMMARY.txt" in opened(tmp_path / "plain.tar.zst")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [path.name]


def test_a_bad_recipient_stops_it_before_anything_is_written(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    ended = bilbs(
        "diag", "collect", "--sysroot", str(dead_system), "-o", str(tmp_path / "out"), "--encrypt-to", "age1nonsense"
    )
    assert ended.status == 2
    assert not (tmp_path / "out").exists()


def test_pseudonyms_hide_the_names_and_reveal_brings_them_back(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    (dead_system / "var/log/syslog").write_text(
        "Nov 21 03:30:12 gpu01 sshd[1]: Accepted publickey for ops from 203.0.113.77 port 22\n"
    )
    ended = bilbs(
        "diag", "collect", "--sysroot", str(dead_system), "--since", "all", "-o", str(tmp_path), "--pseudonymize"
    )
    assert ended.status == 0, ended.stderr
    log = opened(Path(ended.stdout.strip()))["kernel/var/log/syslog"].decode()
    assert "gpu01" not in log
    assert "203.0.113.77" not in log
    assert "203.0.113.77" in bilbs("diag", "reveal", "-", stdin=log).stdout


def test_only_and_skip_choose_and_a_wrong_name_is_helped(bilbs: Bilbs, tmp_path: Path) -> None:
    data = bilbs("diag", "collect", "--only", "system,pci", "--skip", "pci", "-o", str(tmp_path), "--json").json["data"]
    assert [item["name"] for item in data["items"] if item["kind"] == "collector"] == ["system"]
    wrong = bilbs("diag", "collect", "--only", "kernal", "-o", str(tmp_path))
    assert wrong.status == 2
    assert "did you mean kernel" in wrong.stderr


def test_a_dry_run_reads_sizes_and_writes_nothing(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    out = tmp_path / "out"
    data = bilbs(
        "diag", "collect", "--sysroot", str(dead_system), "--since", "all", "-o", str(out), "--dry-run", "--json"
    ).json["data"]
    log = next(item for item in data["items"] if item["name"].endswith("kern.log"))
    assert log["size_bytes"] == (dead_system / "var/log/kern.log").stat().st_size
    assert not out.exists()


def test_the_list_says_what_can_run_here(bilbs: Bilbs) -> None:
    rows = {one["name"]: one for one in bilbs("diag", "list", "--json").json["data"]["collectors"]}
    assert rows["system"]["available"] in {"yes", "partly"}
    assert rows["bmc"]["available"] == "no"
    assert "modprobe" in rows["bmc"]["why"]


def test_the_summary_fits_a_terminal_of_80_columns(bilbs: Bilbs, tmp_path: Path) -> None:
    text = opened(Path(bilbs("diag", "collect", "-o", str(tmp_path)).stdout.strip()))["SUMMARY.txt"].decode()
    assert max(map(len, text.splitlines())) < 80
    for heading in ("VERDICT", "GPUS", "BMC", "HOST", "NOT READ", "WHAT IS IN HERE", "NEXT"):
        assert f"\n{heading}" in text


def test_a_bmc_password_that_others_can_read_is_refused(bilbs: Bilbs, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(SECRET)
    password.chmod(0o644)
    ended = bilbs(
        "diag",
        "collect",
        "--bmc-host",
        "127.0.0.1",
        "--bmc-user",
        "admin",
        "--bmc-password-file",
        str(password),
        "-o",
        str(tmp_path),
    )
    assert ended.status == 77
    assert SECRET not in ended.stderr
    assert "chmod 600" in ended.stderr


def test_pseudonyms_leave_no_serial_of_the_bmc_in_any_form(bilbs: Bilbs, tmp_path: Path) -> None:
    with simulator(tmp_path) as bmc:
        password = private(tmp_path / "password", PASSWORD)
        ended = bilbs(
            "diag",
            "collect",
            "-o",
            str(tmp_path),
            "--only",
            "bmc",
            "--pseudonymize",
            "--bmc-host",
            "127.0.0.1",
            "--bmc-port",
            str(bmc.port),
            "--bmc-user",
            USER,
            "--bmc-password-file",
            str(password),
        )
    members = opened(Path(ended.stdout.strip()))
    for serial in (b"S123456X7890", b"CHSN000123", b"BSN-0042"):
        for name, content in members.items():
            assert serial not in content, name
            assert serial.hex(" ").encode() not in content, name
    assert b"serial-" in members["SUMMARY.txt"]


def test_no_planted_secret_of_the_whole_corpus_is_in_the_finished_bundle(bilbs: Bilbs, tmp_path: Path) -> None:
    root = tmp_path / "mnt"
    (root / "var/log").mkdir(parents=True)
    planted: dict[str, list[bytes]] = {}
    for number, form in enumerate(forms().values()):
        example = expand(form)
        place = f"var/log/{('syslog', 'messages', 'kern.log')[number % 3]}.{number}"
        (root / place).write_bytes(example.text)
        planted[f"kernel/{place}"] = example.secrets
    ended = bilbs("diag", "collect", "--sysroot", str(root), "--since", "all", "-o", str(tmp_path / "out"))
    assert ended.status == 0, ended.stderr
    members = opened(Path(ended.stdout.strip()))
    collected = planted.keys() & members.keys()
    assert len(collected) >= 300
    leaked = [name for name in collected for secret in planted[name] if secret in members[name]]
    leaked += [
        name
        for name in collected
        if b"hunter2-fake" in b"".join(planted[name]) and holds(members[name], b"hunter2-fake")
    ]
    assert leaked == []


def test_it_steps_back_behind_the_work_of_the_box(bilbs: Bilbs, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "lspci").write_text("#!/bin/sh\necho nice $(cut -d' ' -f19 /proc/self/stat)\n")
    (tools / "lspci").chmod(0o755)
    ended = bilbs(
        "diag",
        "collect",
        "--only",
        "pci",
        "-o",
        str(tmp_path / "out"),
        env={"PATH": f"{tools}:{os.environ['PATH']}"},
    )
    assert b"nice 10" in opened(Path(ended.stdout.strip()))["pci/lspci.txt"]


def test_a_gzip_bundle_opens_with_old_tools(bilbs: Bilbs, tmp_path: Path, dead_system: Path) -> None:
    ended = bilbs("diag", "collect", "--sysroot", str(dead_system), "-o", str(tmp_path / "out"), "--compress", "gzip")
    path = Path(ended.stdout.strip())
    assert path.name.endswith(".tar.gz")
    listed = subprocess.run(["tar", "-tzf", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
    assert listed[0].endswith("/SUMMARY.txt")
    assert bilbs("diag", "verify", str(path)).status == 0
