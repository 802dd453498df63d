"""Benchmarks of whole processes, each figure beside its yardstick in the same run; `make bench`.

    python tools/bench.py [start reach standard pipeline redaction memory disk check desk]

Prints Markdown rows for docs/benchmarks.md. Nothing here is asserted: machines differ, ratios less so.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

PYTHON = sys.executable
BILBS = [PYTHON, "-m", "bilbs_cli"]
LINES = (
    "gpu01 sshd[{n}]: Accepted publickey for ops from 10.1.2.3 port {n} ssh2: ED25519 SHA256:{h}",
    "gpu01 systemd[1]: Started Session {n} of User root.",
    "gpu01 kernel: [{n}.{m:06d}] NVRM: Xid (PCI:0000:3b:00): 31, pid={n}, name=python, Ch 0000000{m}, intr 00000000. MMU Fault",
    'gpu01 containerd[{n}]: time="2026-11-21T09:12:12.{n:09d}Z" level=info msg="PullImage \\"nvcr.io/nvidia/pytorch:24.{m}\\" returns image reference \\"sha256:{h}\\""',
    'gpu01 kubelet[{n}]: I1121 09:11:11.{n} 1234 reconciler_common.go:258] "operationExecutor.VerifyControllerAttachedVolume started" pod="kube-system/dcgm-{h}"',
    "gpu01 app[{n}]: request /v1/completions 200 tokens_per_second={m}.2 latency_ms={n} id={h}",
    "gpu01 sudo: ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/nvidia-smi -q -i {n}",
    "gpu01 app[{n}]: connect postgres://svc:Pa55word{n}@db.local:5432/app failed, retry {m}",
)
WEIGHTS = (10, 20, 4, 15, 15, 30, 4, 2)


def log_text(size: int, seed: int) -> bytes:
    """Return about `size` bytes of mixed syslog; two lines in a hundred hold a secret."""
    rng = random.Random(seed)
    lines, length = [], 0
    while length < size:
        line = f"Nov 21 09:{rng.randrange(60):02d}:{rng.randrange(60):02d} " + rng.choices(LINES, WEIGHTS)[0].format(
            n=rng.randrange(1, 99999), m=rng.randrange(99), h=f"{rng.getrandbits(160):040x}"
        )
        lines.append(line)
        length += len(line) + 1
    return ("\n".join(lines) + "\n").encode()


def write_logs(folder: Path, count: int, each: int) -> int:
    """Write `count` different logs of `each` bytes as `<folder>/var/log/syslog.N`; return their total size."""
    logs = folder / "var/log"
    logs.mkdir(parents=True, exist_ok=True)
    base = log_text(min(each, 32 << 20), 1)
    total = 0
    for number in range(count):
        path = logs / (f"syslog.{number}" if number else "syslog")
        with path.open("wb") as stream:
            written = 0
            while written < each:
                piece = base.replace(b" 09:", f" {(written >> 20) % 24:02d}:".encode())[: each - written]
                stream.write(piece)
                written += len(piece)
        total += each
    return total


def timed(argv: Sequence[str], **environment: str) -> float:
    """Return the wall seconds of a command; its output is thrown away."""
    began = time.perf_counter()
    subprocess.run(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment, check=False
    )
    return time.perf_counter() - began


def in_turn(runs: int, *commands: Callable[[], float]) -> list[float]:
    """Run commands A B A B ... after one warm-up each; return the median seconds of each."""
    for command in commands:
        command()
    taken = [[command() for command in commands] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


class Watched:
    """A running command and the peak of the resident memory of its whole process tree, and of a folder's disk use."""

    def __init__(self, argv: Sequence[str], folder: Path | None = None) -> None:
        self.peak_rss = self.peak_pss = self.peak_disk = 0
        process = psutil.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        began = time.perf_counter()
        while process.poll() is None:
            self._sample(process, folder)
            time.sleep(0.05)
        self.seconds = time.perf_counter() - began
        self.status = process.returncode

    def _sample(self, process: psutil.Popen, folder: Path | None) -> None:
        rss = pss = 0
        try:
            for one in [process, *process.children(recursive=True)]:
                try:
                    rss += one.memory_info().rss
                    pss += one.memory_full_info().pss
                except psutil.Error:
                    continue
        except psutil.Error:
            return
        self.peak_rss, self.peak_pss = max(self.peak_rss, rss), max(self.peak_pss, pss)
        if folder:
            self.peak_disk = max(self.peak_disk, disk_use(folder))


def disk_use(folder: Path) -> int:
    """Return the bytes on disk below `folder`."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
    return total


def row(what: str, figure: str, command: str) -> None:
    """Print one row of the table."""
    print(f"| {what} | {figure} | `{command}` |", flush=True)


def collect_logs(root: Path, out: Path, *more: str) -> list[str]:
    """Return the command that collects nothing but the logs below `root`."""
    return [
        *BILBS,
        "diag",
        "collect",
        "--sysroot",
        str(root),
        "--only",
        "kernel",
        "--since",
        "all",
        "--max-file-size",
        "20G",
        "--deadline",
        "600",
        "--progress",
        "none",
        "-o",
        str(out),
        *more,
    ]


def start(_: Path) -> None:
    """`bilbs --help` against an empty Python."""
    times = in_turn(15, lambda: timed([*BILBS, "--help"]), lambda: timed([PYTHON, "-c", "pass"]))
    row(
        "`bilbs --help` / `python3 -c pass`",
        f"{times[0] / times[1]:.1f} ({times[0] * 1e3:.0f} ms / {times[1] * 1e3:.0f} ms)",
        "bench.py start",
    )


def reach(place: Path) -> None:
    """Support: the pager against an empty Python, the SLA clock of 1,000 events against `bilbs --version`."""
    bilbs = str(Path(PYTHON).with_name("bilbs"))  # the installed program: its entry is part of the figure
    card = {"BILBS_PAGER": "+12015550123"}
    empty, pager = in_turn(
        40, lambda: timed([PYTHON, "-c", "pass"]), lambda: timed([bilbs, "support", "pager"], **card)
    )
    row(
        "`bilbs support pager` / `python -c pass`",
        f"{pager / empty:.2f} ({pager * 1000:.0f} ms / {empty * 1000:.0f} ms)",
        "reach",
    )
    events = place / "events.jsonl"
    lines = ['{"at": "2026-11-02T09:00:00Z", "type": "opened", "severity": "sev2", "kind": "hardware"}']
    kinds = ('"updated"', '"waiting", "on": "customer"', '"resumed"', '"responded", "by": "engineer"')
    for number in range(999):
        when = f"2026-11-{3 + number // 48:02d}T{number // 2 % 24:02d}:{number % 2 * 30:02d}:00Z"
        lines.append(f'{{"at": "{when}", "type": {kinds[number % 4]}}}')
    events.write_text("\n".join(lines) + "\n")
    sla = [bilbs, "support", "sla", "--events", str(events), "--tz", "Europe/Paris"]
    timed(sla)  # the holidays are computed and kept
    version, clock = in_turn(30, lambda: timed([bilbs, "--version"]), lambda: timed(sla))
    row(
        "`sla` with 1,000 events / `bilbs --version`",
        f"{clock / version:.2f} ({clock * 1000:.0f} ms / {version * 1000:.0f} ms)",
        "reach",
    )


def start_of_others(place: Path) -> None:
    """Offline comparison of plans against `bilbs --version`; a key press; the executable zip, where dist/ has one."""
    bilbs = str(Path(PYTHON).with_name("bilbs"))
    version, compare = in_turn(30, lambda: timed([bilbs, "--version"]), lambda: timed([bilbs, "plan", "compare"]))
    row(
        "`bilbs plan compare` / `bilbs --version`",
        f"{compare / version:.2f} ({compare * 1000:.0f} ms)",
        "start_of_others",
    )
    script = place / "bilbs.bash"
    script.write_bytes(subprocess.run([bilbs, "completion", "bash"], capture_output=True, check=True).stdout)
    press = f". {script}; COMP_WORDS=(bilbs support ticket show BB-); COMP_CWORD=4; _bilbs"
    empty, key = in_turn(20, lambda: timed(["bash", "-c", f". {script}"]), lambda: timed(["bash", "-c", press]))
    row("a key press in bash, with tickets of the cache", f"{(key - empty) * 1000:.0f} ms", "start_of_others")
    archive = Path(__file__).parents[1] / "dist/bilbs.pyz"
    if archive.exists():
        system = "/usr/bin/python3"
        more = {"BILBS_PYZ_CACHE": str(place / "cache"), "BILBS_PAGER": "+12015550123"}
        pager = [system, str(archive), "support", "pager"]
        timed(pager, **more)
        empty, zipped = in_turn(40, lambda: timed([system, "-c", "pass"]), lambda: timed(pager, **more))
        row(
            "`bilbs.pyz support pager` / `python3 -c pass`",
            f"{zipped / empty:.2f} ({zipped * 1000:.0f} ms)",
            "start_of_others",
        )


def standard(place: Path) -> None:
    """Time the standard profile against sos report."""
    ours = [*BILBS, "diag", "collect", "--progress", "none", "-o", str(place / "out")]
    sos = shutil.which("sos") or shutil.which("sosreport")
    if not sos:
        row("standard profile / `sos report --batch`", "sos is not installed", "apt install sosreport")
        return
    theirs = [sos, "report", "--batch", "--tmp-dir", str(place)]
    times = in_turn(3, lambda: timed(ours), lambda: timed(theirs))
    row(
        "standard profile / `sos report --batch`",
        f"{times[0] / times[1]:.2f} ({times[0]:.2f} s / {times[1]:.2f} s)",
        "bench.py standard",
    )


def pipeline(place: Path) -> None:
    """1 GiB of logs in eight files against tar --zstd of the same files."""
    total = write_logs(place / "root", 8, 128 << 20)
    tar = ["tar", "--zstd", "-cf", str(place / "plain.tar.zst"), "-C", str(place / "root"), "var/log"]
    times = in_turn(3, lambda: timed(collect_logs(place / "root", place / "out")), lambda: timed(tar))
    row(
        "1 GiB of logs: speed against `tar --zstd`",
        f"{times[1] / times[0]:.2f} ({total / times[0] / 1e6:.0f} MB/s / {total / times[1] / 1e6:.0f} MB/s)",
        "bench.py pipeline",
    )


def redaction(place: Path) -> None:
    """Time redaction: the whole command, and the engine alone in processor time."""
    log = place / "mixed.log"
    log.write_bytes(log_text(100_000_000, 7))
    seconds = in_turn(
        3, lambda: timed([*BILBS, "diag", "redact", str(log), "-o", str(place / f"out-{time.monotonic_ns()}")])
    )[0]
    row("redaction of a 100 MB log, whole command", f"{100 / seconds:.0f} MB/s", "bench.py redaction")
    alone = subprocess.run([PYTHON, "-c", ALONE, str(log)], capture_output=True, text=True, check=True)
    row("redaction alone, per second of one core", f"{alone.stdout.strip()} MB/s", "bench.py redaction")


ALONE = """
import sys, time
from bilbs_cli.diag.redaction import Redactor
data, stream = open(sys.argv[1], "rb").read(), Redactor().stream()
began = time.process_time()
for at in range(0, len(data), 1 << 20):
    stream.feed(data[at : at + (1 << 20)])
stream.finish()
print(round(len(data) / 1e6 / (time.process_time() - began)))
"""


def memory(place: Path) -> None:
    """10 GB of logs, and one line of 1 GB."""
    write_logs(place / "root", 5, 2_000_000_000)
    watched = Watched(collect_logs(place / "root", place / "out"))
    row(
        "10 GB of logs: peak of all processes, RSS (PSS)",
        f"{watched.peak_rss / 1e6:.0f} MB ({watched.peak_pss / 1e6:.0f} MB), {watched.seconds:.0f} s, exit {watched.status}",
        "bench.py memory",
    )
    shutil.rmtree(place / "root")
    logs = place / "root/var/log"
    logs.mkdir(parents=True)
    with (logs / "syslog").open("wb") as stream:
        for number in range(1000):
            stream.write((b"%06d abcdefghij" % number) * 62500)
    watched = Watched(collect_logs(place / "root", place / "out"))
    row(
        "one line of 1 GB: peak of all processes, RSS (PSS)",
        f"{watched.peak_rss / 1e6:.0f} MB ({watched.peak_pss / 1e6:.0f} MB), {watched.seconds:.0f} s, exit {watched.status}",
        "bench.py memory",
    )


def disk(place: Path) -> None:
    """Peak use of the output folder against the archive, 1 GiB of logs."""
    write_logs(place / "root", 8, 128 << 20)
    out = place / "out"
    out.mkdir()
    watched = Watched(collect_logs(place / "root", out), out)
    size = disk_use(out)
    row(
        "disk at the peak / final archive",
        f"{watched.peak_disk / size:.2f} ({watched.peak_disk / 1e6:.1f} MB / {size / 1e6:.1f} MB)",
        "bench.py disk",
    )


KERNEL = (
    "audit: type=1400 audit(1700000000.{n:03d}:45): apparmor=ALLOWED operation=open",
    "IPv4: martian source 10.0.0.7 from 10.0.0.1, on dev eth0",
    "docker0: port 3(veth{n:05x}) entered forwarding state",
    "perf: interrupt took too long ({n} > 2500), lowering kernel.perf_event_max_sample_rate to 79750",
    "nvme nvme0: 8/0/0 default/read/poll queues",
)


def kernel_log(path: Path, lines: int) -> None:
    """Write a kernel log of that many lines; one in a hundred thousand is an Xid."""
    rng = random.Random(1)
    path.parent.mkdir(parents=True)
    with path.open("w") as stream:
        for n in range(lines):
            text = rng.choice(KERNEL).format(n=rng.randrange(99999))
            if n % 100_000 == 50_000:
                text = f"NVRM: Xid (PCI:0000:3b:00): 31, pid={n}, name=python, Ch 00000008"
            day, clock = 1 + n // 86400 % 20, f"{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
            stream.write(f"Nov {day:2d} {clock} gpu01 kernel: [{n}.{rng.randrange(10**6):06d}] {text}\n")


def check(place: Path) -> None:
    """`diag check`: a bundle with 1,000,000 kernel lines, and this box live."""
    kernel_log(place / "root/var/log/kern.log", 1_000_000)
    subprocess.run(collect_logs(place / "root", place / "out"), stderr=subprocess.DEVNULL, check=False)
    (bundle,) = (place / "out").glob("*.tar.zst")
    state = {"BILBS_STATE_DIR": str(place / "state")}
    times = in_turn(
        5,
        lambda: timed([*BILBS, "diag", "check", str(bundle)]),
        lambda: timed(["sh", "-c", f"zstd -dc {bundle} | grep -c NVRM"]),
        lambda: timed([*BILBS, "diag", "check", "--progress", "none"], **state),
    )
    watched = Watched([*BILBS, "diag", "check", str(bundle)])
    row(
        "`diag check` of 1,000,000 kernel lines / (`zstd -d` piped to `grep -c NVRM`, x 10)",
        f"{times[0] / (10 * times[1]):.2f} ({times[0]:.2f} s / {10 * times[1]:.2f} s), {watched.peak_rss / 1e6:.0f} MB",
        "bench.py check",
    )
    row("live `diag check`, no GPU, no BMC", f"{times[2]:.2f} s", "bench.py check")


def desk(place: Path) -> None:
    """Measure uploads, the outbox and long lists against the sandbox on loopback."""
    import bench_desk

    for number, bench in enumerate((bench_desk.flush, bench_desk.listing, bench_desk.upload)):
        folder = place / str(number)
        folder.mkdir()
        for what, figure, _ in bench(folder):
            row(what, figure, "tools/bench.py desk")


BENCHES = {
    bench.__name__: bench
    for bench in (start, reach, start_of_others, standard, pipeline, redaction, memory, disk, check, desk)
}


def main(names: Sequence[str]) -> None:
    """Run the benches that were named, or all."""
    print("| what | figure | command |\n|---|---|---|")
    for name in names or BENCHES:
        with tempfile.TemporaryDirectory(prefix="bilbs-bench-") as folder:
            BENCHES[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
