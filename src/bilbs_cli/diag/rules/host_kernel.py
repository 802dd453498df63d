"""What the kernel says of itself in its logs: hung tasks, lockups, panics, heat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Verdict, moment
from bilbs_cli.diag.rules.log_events import Gathered, gather
from bilbs_cli.diag.rules.scopes import LOGS

NPD = "https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor.json"
GPUD = "https://github.com/leptonai/gpud/tree/main/components/os"
LOCKUP = "https://docs.kernel.org/admin-guide/lockup-watchdogs.html"
HUNG_MANY = 5  # hung tasks that gpud takes for a fault; fewer are told
LONG_AGO = timedelta(days=7)  # a crash since which the box has run that long is a warning (ours)


def hung_task(case: Case) -> Iterator[Found]:
    """Tasks hung in the kernel for minutes.

    Gpud takes five in a row for a fault; fewer are told. node-problem-detector makes an event of each. A task of the NVIDIA
    driver that hangs does not come back without a reboot.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: INFO: task python:4242 blocked for more than 120 seconds.
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: systemd[1]: Started a task.
    """
    for seen in gather(case.box, "hung_task"):
        many = seen.count >= HUNG_MANY
        yield seen.found(
            f"{seen.count} times a task hung in the kernel: {', '.join(seen.details('task')[:4]) or 'not named'}",
            severity=Severity.WARNING if many else Severity.INFO,
            verdict=Verdict.REBOOT if many else Verdict.IGNORE,
        )


def soft_lockup(case: Case) -> Iterator[Found]:
    """A processor ran in the kernel for too long without a pause (soft lockup).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [nvidia-smi:991]
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
    """
    for seen in gather(case.box, "soft_lockup"):
        where = ", ".join(seen.details("cpu")[:8])
        yield seen.found(f"a processor was stuck in the kernel{f' (CPU {where})' if where else ''}")


def hard_lockup(case: Case) -> Iterator[Found]:
    """A processor did not even take interrupts (hard lockup).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: NMI watchdog: Watchdog detected hard LOCKUP on cpu 3
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
    """
    for seen in gather(case.box, "hard_lockup"):
        where = ", ".join(seen.details("cpu")[:8])
        yield seen.found(f"a processor took no interrupts any more{f' (CPU {where})' if where else ''}")


def rcu_stall(case: Case) -> Iterator[Found]:
    """A processor held up the whole kernel (RCU stall).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: rcu: INFO: rcu_sched self-detected stall on CPU
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: rcu: Hierarchical RCU implementation.
    """
    for seen in gather(case.box, "rcu_stall"):
        yield seen.found("a processor held up the kernel (RCU stall)")


def _is_long_ago(case: Case, seen: Gathered) -> bool:
    last = moment(seen.last_at)
    return last is not None and case.box.now - last > LONG_AGO


def kernel_panic(case: Case) -> Iterator[Found]:
    """The kernel panicked: the box went down.

    One that is more than a week past is a warning: the box has run since.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: Kernel panic - not syncing: Fatal exception
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: Kernel command line: panic=10
    """
    for seen in gather(case.box, "panic"):
        why = "; ".join(seen.details("why")[:3]) or "no reason given"
        yield seen.found(f"the kernel panicked: {why}", severity=Severity.WARNING if _is_long_ago(case, seen) else None)


def kernel_oops(case: Case) -> Iterator[Found]:
    """The kernel failed in one place and went on (oops, BUG): what runs now is not to be trusted.

    node-problem-detector takes an oops for an event of the node. Told only where it is more than a week past.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: BUG: unable to handle page fault for address: ffffb2c0c0d0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: Kernel command line: oops=panic
    """
    for seen in gather(case.box, "oops"):
        old = _is_long_ago(case, seen)
        yield seen.found(
            "the kernel failed in one place and went on",
            severity=Severity.INFO if old else None,
            verdict=Verdict.IGNORE if old else None,
        )


def thermal(case: Case) -> Iterator[Found]:
    """A processor was throttled, or the box switched off, for its temperature.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: CPU3: Core temperature above threshold, cpu clock throttled (total events = 1)
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: thermal_sys: Registered thermal governor 'step_wise'
    """
    for seen in gather(case.box, "thermal"):
        what = ", ".join(seen.details("what")[:4])
        critical = "ritical temperature" in what
        words = "the kernel saw a critical temperature" if critical else "a processor was throttled for its temperature"
        yield seen.found(f"{words}{f' ({what})' if what else ''}", severity=Severity.CRITICAL if critical else None)


KEEP = "Keep a bundle (bilbs diag collect)"
STUCK = f"{KEEP}. When it comes again: reboot, and look at firmware and driver versions."
HOST_KERNEL_RULES = (
    Rule(
        "host.hung_task",
        Severity.WARNING,
        Verdict.REBOOT,
        (),
        GPUD,
        hung_task,
        LOGS,
        next=f"{KEEP}: system/blocked-tasks.txt shows what they wait for. Reboot when they do not come back.",
    ),
    Rule("host.soft_lockup", Severity.WARNING, Verdict.REBOOT, (), LOCKUP, soft_lockup, LOGS, next=STUCK),
    Rule("host.hard_lockup", Severity.CRITICAL, Verdict.REBOOT, (), LOCKUP, hard_lockup, LOGS, next=STUCK),
    Rule(
        "host.rcu_stall",
        Severity.WARNING,
        Verdict.REBOOT,
        (),
        "https://docs.kernel.org/RCU/stallwarn.html",
        rcu_stall,
        LOGS,
        next=STUCK,
    ),
    Rule(
        "host.panic",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        NPD,
        kernel_panic,
        LOGS,
        next=f"{KEEP} while the old log is there; the timeline (bilbs diag show) has what came before it.",
    ),
    Rule("host.oops", Severity.WARNING, Verdict.REBOOT, (), NPD, kernel_oops, LOGS, next=f"{KEEP}, then reboot soon."),
    Rule(
        "host.thermal",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        "https://docs.kernel.org/driver-api/thermal/index.html",
        thermal,
        LOGS,
        next="Look at fans, filters and air flow; bmc.fan and bmc.sensor rules say how it is now.",
    ),
)
