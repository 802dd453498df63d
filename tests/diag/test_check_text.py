"""The page that a person reads at 3:30 AM: whole pages at 80 columns, nothing lost, nothing too wide, nothing obeyed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli import terminal
from bilbs_cli.diag import check_text
from bilbs_cli.diag.check_lines import page
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Gap, NotEvaluated, Severity, Verdict
from bilbs_cli.escape import visible
from bilbs_cli.tables import cells
from tests.diag.judged import PART, checks, dead_gpu, dead_gpu_box, dead_gpu_findings, gaps, judge, quiet
from tests.diag.remembered import tree


@dataclass(frozen=True)
class Done:
    """What a run came to."""

    checked: Checked
    remembered: str = ""


DEAD_GPU = """\
CRITICAL on gpu01: 1 critical, 1 warning, 2 info
this box, as of 2026-11-21 04:00:00 UTC; Xid catalogue 2026-10
It began at 2026-11-21 03:12:01 UTC (kernel): NVRM: Xid (PCI:0000:3b:00): 79,
pid='<unknown>', name=<unknown>, GPU has fallen off the bus.

!! CRITICAL  GPU 1 (0000:3b:00.0, slot 5)
   the GPU has fallen off the bus [xid.79]
   verdict   RMA candidate, 1 of 3 proofs (have the Xid; still missing: the same
             after a power cycle, the field diagnostic)
   evidence  kernel/var/log/kern.log:2, 2026-11-21 03:12:01 UTC
             NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>,
             GPU has fallen off the bus.
   next      drain the box, then cut its power for 30 s; if it comes back, run
             dcgmi diag -r 3
   followed  xid.45 (30 times): channels were cleaned up

 ! WARNING   GPU 0 (0000:1b:00.0, serial 1652324000311)
   a row of memory waits to be remapped [gpu.row_remap.pending]
   verdict   reset the GPU
   evidence  facts.json:812
             gpu/devices/0/remapped_rows/pending = True
   next      reset the GPU at the next window: nvidia-smi --gpu-reset -i 0

For your information
   GPU 0 (0000:1b:00.0, serial 1652324000311): persistence mode is off
   [gpu.persistence]

42 checks by 30 rules. 12 not evaluated: 9 unsupported by this hardware, 3 need
root: sudo bilbs diag check
Suggested severity of a ticket: Sev-2, because 1 of 2 GPUs is offline: degraded
but functional. You decide.
Memory: 3 samples are kept

Next
   bilbs diag collect          keep the evidence before a reset or reboot wipes
                               it
   bilbs diag rma BUNDLE --part gpu:0000:3b:00.0
                               the papers for the OEM
   bilbs diag explain xid.79   what it means, and where that is from
"""

QUIET = """\
HEALTHY as far as could be read: nothing found on gpu01
this box, as of 2026-11-21 04:00:00 UTC; Xid catalogue 2026-10

42 checks by 30 rules. Nothing was left out.
"""

UNKNOWN = """\
UNKNOWN on gpu01: nothing could be evaluated
/mnt/dead, as of 2026-11-21 04:00:00 UTC; Xid catalogue 2026-10

0 checks by 30 rules. 3 not evaluated: 2 not collected, 1 timed out
   2 x no kernel log was read
   1 x no answer in 30 s
"""


def test_a_dead_gpu_is_told_on_one_page() -> None:
    assert "\n".join(page(dead_gpu(), "3 samples are kept")) + "\n" == DEAD_GPU


def test_a_quiet_box_is_healthy_as_far_as_could_be_read() -> None:
    assert "\n".join(page(quiet())) + "\n" == QUIET


def test_a_box_of_which_nothing_could_be_evaluated_is_unknown_with_the_reasons() -> None:
    left = [
        NotEvaluated("host.oom", "host", Gap.NOT_COLLECTED, "kernel/log", "no kernel log was read"),
        NotEvaluated("host.panic", "host", Gap.NOT_COLLECTED, "kernel/log", "no kernel log was read"),
        NotEvaluated("gpu.x", "gpu", Gap.TIMEOUT, "nvml", "nvml was not readable: no answer in 30 s"),
    ]
    checked = judge(dead_gpu_box(), gaps=tuple(left), evaluated=0, source="/mnt/dead")
    assert "\n".join(page(checked)) + "\n" == UNKNOWN


@pytest.mark.parametrize(
    ("source", "root", "said"),
    [
        ("live", False, "3 need root: sudo bilbs diag check"),
        ("live", True, "3 denied"),
        ("b.tar.zst", False, "3 need root: sudo bilbs diag collect"),
    ],
)
def test_what_was_denied_says_what_to_type_where_that_helps(source: str, root: bool, said: str) -> None:
    checked = judge(dead_gpu_box(), gaps=gaps(), source=source, header={"root": root})
    text = " ".join("\n".join(page(checked)).split())
    assert text.endswith(f"unsupported by this hardware, {said}")


def test_a_bundle_names_itself_in_the_next_step() -> None:
    checked = judge(dead_gpu_box(), *dead_gpu_findings(), source="b.tar.zst")
    text = "\n".join(page(checked))
    assert f"bilbs diag rma b.tar.zst --part {PART}" in text
    assert "bilbs diag collect" not in text


def test_a_suspect_says_what_to_do_first_and_what_an_rma_needs_beyond_it() -> None:
    off = replace(dead_gpu_findings()[0], verdict=Verdict.REBOOT)
    text = " ".join("\n".join(page(judge(dead_gpu_box(), off))).split())
    assert (
        "verdict reboot, not an RMA candidate yet, 1 of 3 proofs (have the Xid; still missing: the same after" in text
    )
    assert f"bilbs diag rma BUNDLE --part {PART} the papers for the OEM, once the proof is there" in text


def test_a_dead_system_is_called_by_its_own_name() -> None:
    box = replace(dead_gpu_box(), facts=tree({"system/hostname_configured": "gpu07"}))
    found = judge(box, *dead_gpu_findings(), header={"options": {"sysroot": "/mnt"}})
    assert page(found)[0].startswith("CRITICAL on gpu07: ")
    assert page(replace(found, header={}))[0].startswith("CRITICAL on gpu01: ")


def test_readings_that_nothing_wrote_are_counted_by_what_they_are_of() -> None:
    missing = "sel was not readable: not present in these facts"
    lost = [NotEvaluated(f"bmc.{n}", "bmc:sel", Gap.NOT_COLLECTED, "sel", missing) for n in range(7)]
    assert "   7 x bmc: not present in these facts" in page(judge(dead_gpu_box(), gaps=tuple(lost)))


def test_a_long_command_can_be_copied_from_the_page() -> None:
    """What stands there, typed into a shell, are the words of the command."""
    source = "/srv/bundles of this month/bilbs-diag-gpu01-20261121.tar.zst"
    lines = page(judge(dead_gpu_box(), *dead_gpu_findings(), source=source))
    start = next(at for at, one in enumerate(lines) if one.startswith("   bilbs diag rma"))
    typed = [lines[start]]
    while typed[-1].endswith(" \\"):
        typed.append(lines[start + len(typed)])
    said = subprocess.run(["sh", "-c", "printf '%s\n' " + "\n".join(typed)], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:-1] == ["bilbs", "diag", "rma", source, "--part", PART]


def test_a_hundred_findings_are_bounded_and_counted() -> None:
    root, *rest = dead_gpu_findings()
    roots = [replace(root, part=f"gpu:{n}", label="") for n in range(30)]
    followed = [replace(rest[-1], rule=f"xid.{n}", caused_by=roots[0].key) for n in range(9)]
    infos = [replace(rest[1], severity=Severity.INFO, part=f"gpu:{n}") for n in range(15)]
    lines = page(judge(dead_gpu_box(), *roots, *followed, *infos))
    assert "and 10 more (10 critical): bilbs diag check --json lists them" in lines
    assert "             and 5 more findings that follow from it" in lines
    assert "   and 5 more" in lines
    assert sum(line.startswith("!! CRITICAL") for line in lines) == 20


def test_a_cause_that_is_only_information_hides_nothing_that_followed_from_it() -> None:
    root, *_, cleanup = dead_gpu_findings()
    mild = replace(cleanup, caused_by="")
    text = "\n".join(page(judge(dead_gpu_box(), replace(root, caused_by=mild.key), mild)))
    assert "!! CRITICAL  GPU 1" in text


def test_causes_in_a_circle_are_told_all_the_same() -> None:
    root, warning, *_ = dead_gpu_findings()
    findings = (replace(root, caused_by=warning.key), replace(warning, caused_by=root.key))
    text = "\n".join(page(judge(dead_gpu_box(), *findings)))
    assert "!! CRITICAL  GPU 1" in text
    assert "gpu.row_remap.pending" in text


@given(checks(), st.integers(40, 120), st.text(max_size=90))
def test_no_line_is_wider_than_asked_nothing_is_obeyed_and_every_alarm_is_named(
    checked: Checked, width: int, remembered: str
) -> None:
    lines = page(checked, remembered, width)
    assert max(map(cells, lines)) <= width
    assert all(visible(line) == line for line in lines)
    assert lines[0].split()[0] in {"CRITICAL", "WARNING", "HEALTHY", "UNKNOWN"}
    told = " ".join(lines)
    alarms = {one.key for one in checked.judgement.findings if one.severity is not Severity.INFO}
    if alarms:
        assert "!! CRITICAL" in told or " ! WARNING" in told


@pytest.mark.parametrize(
    ("checked", "fail_on", "status"),
    [
        (dead_gpu(), "warning", 11),
        (dead_gpu(), "critical", 11),
        (judge(dead_gpu_box(), dead_gpu_findings()[1]), "warning", 10),
        (judge(dead_gpu_box(), dead_gpu_findings()[1]), "critical", 0),
        (quiet(), "warning", 0),
        (judge(dead_gpu_box(), evaluated=0), "warning", 20),
    ],
)
@pytest.mark.parametrize("output_format", ["text", "prometheus"])
def test_the_exit_status_is_the_same_in_every_format(
    capsys: pytest.CaptureFixture[str], checked: Checked, fail_on: str, status: int, output_format: str
) -> None:
    terminal.begin([])
    assert check_text.show(Done(checked), output_format, fail_on) == status
    assert capsys.readouterr().out.strip()


def test_every_format_leaves_by_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal.begin([])
    done = Done(dead_gpu(), "3 samples are kept")
    check_text.show(done)
    assert capsys.readouterr().out == DEAD_GPU
    assert check_text.show(done, "nagios") == 2
    assert capsys.readouterr().out.startswith("BILBS CRITICAL - ")
    check_text.show(done, "prometheus")
    assert capsys.readouterr().out.endswith("\n")
    terminal.begin(["--json"])
    assert check_text.show(done) == 11
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["data"]["status"]) == ("diag.check", "critical")
    terminal.begin([])
