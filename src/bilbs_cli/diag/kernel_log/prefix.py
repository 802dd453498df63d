"""What stands before a kernel message: wall time, host, level, time since boot; in every form in which logs are kept."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bilbs_cli.diag.kernel_log.wall_time import EPOCH, HUMAN, ISO, SYSLOG, Clock, epoch, human, iso, syslog

__all__ = ["Clock", "Line", "split"]

SPEAKERS = {"kernel", "kern", "nv-fabricmanager"}  # tags of lines that are no quotation by another program
NO_HOSTS = {
    "nvme",
    "block",
    "sd",
    "EDAC",
    "thermal",
}  # first words of kernel messages that a host's name and a tag look like

ANSI = re.compile(r"\x1b\[[0-9;]*m")
PRIORITY = re.compile(r"<\d{1,3}>(?:1 (?=\d{4}-))?")  # RFC 3164 4.1.1; RFC 5424 puts its version behind it
KMSG = re.compile(r"\d{1,3},\d{1,20},(\d{1,18}),[^;]{0,64};")  # Documentation/ABI/testing/dev-kmsg
DECODED = re.compile(r"(?:kern|user|daemon|syslog|auth|local\d) *:(?:emerg|alert|crit|err|warn|notice|info|debug) *: ")
KERNEL = re.compile(r"(?:\S{0,254}[^\s:\]] )?(?:kern\.[a-z]{3,7} )?kernel(?:\[\d{1,10}\])?: ")  # busybox adds the level
TAGGED = re.compile(r"(\S{1,255}) ([A-Za-z0-9_./-]{1,64})(?:\[\d{1,10}\])?: ")
STRUCTURED = re.compile(r"\S{1,255} (\S{1,48}) \S{1,128} \S{1,32} (?:-|\[.*?\]) ")  # RFC 5424 6: host app pid id data
CONTAINER = re.compile(r"(?:stdout|stderr) [FP] ")  # the Kubernetes log format
MONO = re.compile(r"\[ *(\d{1,12})\.(\d{1,9})\] ?")
CALLER = re.compile(r"\[ *[TC]\d{1,10}\] ?")
MANAGER = re.compile(r"\[(?:ERROR|WARN|WARNING|INFO|CRITICAL)\] \[tid \d{1,10}\] ")  # the fabric manager's own log
REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?")  # rsyslog: $RepeatedMsgReduction


@dataclass(frozen=True, slots=True)
class Line:
    """A line taken apart. `at` is aware, in UTC; `mono_s` seconds since its boot; `boot` a journal's boot id.

    `kernel` is False for a line whose tag says that another program wrote it. `times` is how often the line stands for
    its message, more than once where the log's writer folds repeats.
    """

    message: str
    at: datetime | None = None
    mono_s: float | None = None
    boot: str = ""
    kernel: bool = True
    times: int = 1


def split(text: str, clock: Clock) -> Line:
    r"""Return a log line taken apart.

    >>> from datetime import UTC, datetime
    >>> clock = Clock(datetime(2026, 11, 21, 4, tzinfo=UTC), UTC)
    >>> line = split("Nov 21 03:12:01 gpu01 kernel: [   42.100000] NVRM: GPU lost", clock)
    >>> line.message, line.mono_s, str(line.at)
    ('NVRM: GPU lost', 42.1, '2026-11-21 03:12:01+00:00')
    >>> split("<3>[   98.765432][ T1946] NVRM: GPU lost", clock).mono_s
    98.765432
    """
    if text.startswith("{") and (line := _json(text, clock)):
        return line
    text = ANSI.sub("", text) if "\x1b" in text else text
    structured = False
    if found := PRIORITY.match(text):
        structured = found[0].endswith("1 ")
        text = text[found.end() :]
    if found := KMSG.match(text):
        return _repeated(Line(text[found.end() :], mono_s=int(found[1]) / 1e6))
    if found := DECODED.match(text):
        text = text[found.end() :]
    at, kernel, text = _wall(text, clock, structured)
    return _repeated(_bracketed(text, clock, at, kernel))


def _wall(text: str, clock: Clock, structured: bool) -> tuple[datetime | None, bool, str]:
    """Return the time in front, whether the kernel speaks, and the rest."""
    if found := ISO.match(text):
        at, rest = iso(found, clock), text[found.end() :]
        if structured and (head := STRUCTURED.match(rest)):
            return at, head[1] in SPEAKERS, rest[head.end() :].removeprefix("\ufeff")
        if head := CONTAINER.match(rest):
            return at, True, rest[head.end() :]
        if "," in found[0] and not KERNEL.match(rest):
            return at, True, rest  # dmesg --time-format iso: no host, no tag
    elif found := SYSLOG.match(text):
        at, rest = syslog(found, clock), text[found.end() :]
    elif found := EPOCH.match(text):  # journalctl -o short-unix
        at, rest = epoch(int(found[1]) * 1_000_000), text[found.end() :]
    else:
        return None, True, text
    return (at, *_tagged(rest))


def _tagged(text: str) -> tuple[bool, str]:
    """Return whether the kernel speaks, and the text behind host and tag, where it has them."""
    if head := KERNEL.match(text):
        return True, text[head.end() :]
    head = TAGGED.match(text)
    if head is None or head[1].endswith(":") or head[1] in NO_HOSTS:
        return True, text
    return head[2] in SPEAKERS, text[head.end() :]


def _bracketed(text: str, clock: Clock, at: datetime | None, kernel: bool) -> Line:
    mono_s: float | None = None
    while True:
        if not text.startswith("["):
            found = KERNEL.match(text)
        elif (found := MONO.match(text)) and mono_s is None:
            mono_s = float(f"{found[1]}.{found[2]}")
        elif (found := HUMAN.match(text)) and at is None:
            at = human(found, clock)
        else:
            found = CALLER.match(text) or MANAGER.match(text)
        if not found:
            return Line(text, at, mono_s, "", kernel)
        text = text[found.end() :]


def _repeated(line: Line) -> Line:
    """Return a line for the message inside, if it is one that says how often another was repeated."""
    found = REPEATED.match(line.message)
    if not found:
        return line
    message = line.message[found.end() :]
    if mono := MONO.match(message):
        message = message[mono.end() :]
    return replace(line, message=message.removesuffix("]"), times=max(int(found[1]), 1))


def _json(text: str, clock: Clock) -> Line | None:
    """Return a line of `journalctl -o json`, or of a container's json-file log; None for what is neither."""
    try:
        entry: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("log"), str):
        inner = entry["log"].rstrip("\n")
        return None if inner.startswith("{") else split(inner, clock)
    message = entry.get("MESSAGE")
    if isinstance(message, list):
        message = bytes(one for one in message if isinstance(one, int) and 0 <= one < 256).decode("utf-8", "replace")
    mono = _micros(entry.get("_SOURCE_MONOTONIC_TIMESTAMP"))
    boot, tag = entry.get("_BOOT_ID"), entry.get("SYSLOG_IDENTIFIER", "kernel")
    return Line(
        ANSI.sub("", message) if isinstance(message, str) else "",
        epoch(_micros(entry.get("__REALTIME_TIMESTAMP"))),
        None if mono is None else mono / 1e6,
        boot if isinstance(boot, str) else "",
        isinstance(tag, str) and tag in SPEAKERS,
    )


def _micros(value: object) -> int | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
