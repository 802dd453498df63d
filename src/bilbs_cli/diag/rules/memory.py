"""Rules that compare the box with its baseline: cards that moved or changed, parts that are gone, remaps that run out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bilbs_cli.diag import identity
from bilbs_cli.diag.baseline import Baseline, baseline_of, history_of
from bilbs_cli.diag.findings import BOX, Case, Found, Rule, Scope, Severity, Verdict
from bilbs_cli.diag.inventory import counters_of, dimm_slots, disks_of
from bilbs_cli.diag.model import branch
from bilbs_cli.diag.rules.scopes import GPU
from bilbs_cli.diag.runway import runway

SOON = timedelta(days=30)  # ours: about what a replacement takes from order to rack
SET = "if that was on purpose: bilbs diag baseline set"


def _whole(what: str) -> Scope:
    """Return the whole box as a subject that is only there when `what` was read."""
    path = {"dimms": ("system", "dmi", "memory"), "disks": ("storage", "disks")}[what]
    words = {"dimms": "the memory slots were not read (dmidecode, as root)", "disks": "the disks were not read"}[what]
    return Scope(
        "host",
        "/".join(path),
        lambda _facts, _path: "host",
        lambda facts: None if branch(facts, *path) else words,
        lambda _facts, _path: "this box",
    )


def _baseline(case: Case) -> Baseline:
    found = baseline_of(case.box.facts)
    if found is None:
        raise ValueError("the baseline cannot be understood")
    return found


def gpu_moved(case: Case) -> Iterator[Found]:
    """GPU of the baseline in another place.

    The serial is the card's, the PCI address the place's. Nothing is wrong with a move; the report follows the card, so
    that a fault that moves along with it (or stays behind) decides the swap test. After a firmware update addresses can
    change while no card was touched: then the slot is the same.

    Fires:
        gpu/devices/0/pci_bus_id = "0000:5e:00.0"
        gpu/devices/0/serial = "1652324000311"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:3b:00.0", "serial": "1652324000311"}]}
    Quiet:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/serial = "1652324000311"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:3b:00.0", "serial": "1652324000311"}]}
    """
    known = _baseline(case)
    for gpu in identity.gpus(case.box):
        before = known.gpu_with(gpu.serial) if gpu.serial_from == identity.DRIVER else None
        if before and before.pci != gpu.pci:
            stays = bool(gpu.slot) and gpu.slot == before.slot
            place = f"{identity.named_slot(before.slot)}, {before.pci}" if before.slot else before.pci
            moved = "has another PCI address in the same slot" if stays else "was moved"
            yield Found(
                f"the GPU with serial {gpu.serial} {moved}: it was at {place} on {known.taken_at:%Y-%m-%d}",
                (
                    case.cite(f"gpu/devices/{gpu.index}/serial"),
                    case.cite("memory/baseline", f"{gpu.serial} at {place}"),
                ),
                part=gpu.part,
            )


def gpu_replaced(case: Case) -> Iterator[Found]:
    """Another GPU is where the baseline has one, and the old one is nowhere.

    After an RMA this is how it should be: the baseline is then taken anew, because no check drops a card from it by
    itself. Where nobody replaced anything, somebody took a card out.

    Fires:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/serial = "1652324000999"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:3b:00.0", "serial": "1652324000311"}]}
    Quiet:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/serial = "1652324000311"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:3b:00.0", "serial": "1652324000311"}]}
    """
    known, gpus = _baseline(case), identity.gpus(case.box)
    here = {one.serial for one in gpus if one.serial}
    for gpu in gpus:
        before = known.gpu_at(gpu.pci) if gpu.serial_from == identity.DRIVER else None
        if before and before.serial and before.serial not in here and known.gpu_with(gpu.serial) is None:
            yield Found(
                f"the GPU with serial {before.serial} was replaced by {gpu.serial} since {known.taken_at:%Y-%m-%d}",
                (case.cite(f"gpu/devices/{gpu.index}/serial"), case.cite("memory/baseline", f"{before.serial} before")),
                part=gpu.part,
            )


def dimm_missing(case: Case) -> Iterator[Found]:
    """Memory module of the baseline is gone.

    Firmware leaves out a module that failed its training at power-on and says so in its own log only; the system then
    runs with less memory. Modules are compared by the slot's locator as SMBIOS type 17 has it.

    Fires:
        system/dmi/memory/A1/populated = true
        system/dmi/memory/A2/populated = false
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [], "dimms": 2, "dimm_slots": ["A1", "A2"]}
    Quiet:
        system/dmi/memory/A1/populated = true
        system/dmi/memory/A2/populated = true
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [], "dimms": 2, "dimm_slots": ["A1", "A2"]}
    """
    known, now = _baseline(case), dimm_slots(case.box.facts)
    for slot in sorted(set(known.dimm_slots) - set(now)):
        yield Found(
            f"the memory module in {slot} is gone: it was there on {known.taken_at:%Y-%m-%d}",
            (case.cite(f"/system/dmi/memory/{slot}/populated"), case.cite("/memory/baseline", f"a module in {slot}")),
            part=f"dimm:{slot}",
        )
    if known.dimms and not known.dimm_slots and len(now) < known.dimms:
        was = f"{known.dimms} on {known.taken_at:%Y-%m-%d}"
        yield Found(f"{len(now)} memory modules, {was}", (case.cite("/memory/baseline", was),))


def disk_missing(case: Case) -> Iterator[Found]:
    """Disk of the baseline is gone.

    Compared by serial, so that another name after a reboot is no loss; by name where the kernel knows no serial (SATA,
    SAS): after a reboot the missing one may then be another than the name says. Removable disks and those behind a
    network are not counted.

    Fires:
        storage/disks/nvme0n1/serial = "S6CKNE0T100001"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [], "disks": ["serial S6CKNE0T100001", "serial S6CKNE0T100002"]}
    Quiet:
        storage/disks/nvme1n1/serial = "S6CKNE0T100001"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [], "disks": ["serial S6CKNE0T100001"]}
    """
    known, now = _baseline(case), set(disks_of(case.box.facts))
    for disk in sorted(set(known.disks) - now):
        unsure = "" if disk.startswith("serial ") else " (names move: after a reboot it may be another disk)"
        yield Found(
            f"the disk {disk} is gone: it was there on {known.taken_at:%Y-%m-%d}{unsure}",
            (case.cite("/memory/baseline", f"disk {disk}"),),
            part=f"disk:{disk.removeprefix('serial ')}",
        )


def row_remap_runway(case: Case) -> Found | None:
    """Rows of GPU memory are being remapped, and at this rate the spare ones end.

    NVIDIA's limits are eight remaps in one bank and 512 in all. Which bank the next error hits is not known, so the end
    is a span of time: the soonest if every error hits the worst bank, the latest if they spread. It is a warning when
    the soonest is less than 30 days away (our choice), else for information. Three samples over a week are the least.

    Fires:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/serial = "1652324000311"
        gpu/devices/0/remapped_rows/uncorrectable = 9
        gpu/devices/0/row_remapper_histogram/max = 630
        gpu/devices/0/row_remapper_histogram/high = 8
        gpu/devices/0/row_remapper_histogram/partial = 1
        gpu/devices/0/row_remapper_histogram/low = 1
        gpu/devices/0/row_remapper_histogram/none = 0
        memory/history = {"samples": [{"at": "2026-11-01T04:00:00+00:00", "boot": "a", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"remapped_uncorrectable": 3}}, {"at": "2026-11-11T04:00:00+00:00", "boot": "a", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"remapped_uncorrectable": 6}}]}
    Quiet:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/serial = "1652324000311"
        gpu/devices/0/remapped_rows/uncorrectable = 3
        gpu/devices/0/row_remapper_histogram/max = 640
        memory/history = {"samples": [{"at": "2026-11-01T04:00:00+00:00", "boot": "a", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"remapped_uncorrectable": 3}}, {"at": "2026-11-11T04:00:00+00:00", "boot": "a", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"remapped_uncorrectable": 3}}]}
    """
    device, serial = branch(case.box.facts, *case.path), case.get("serial")
    found = runway(
        history_of(case.box.facts).samples,
        counters_of(device),
        case.box.now,
        serial if isinstance(serial, str) else "",
        identity.address_of(device),
    )
    if not found.rate_per_week:
        return None
    urgent = found.soonest is not None and found.soonest - case.box.now < SOON
    return Found(
        f"rows of this GPU's memory are being remapped: {found.words}",
        (case.cite("remapped_rows/uncorrectable"), case.cite("/memory/history", f"{found.samples} samples")),
        next="plan its replacement, and run the field diagnostic at the next window" if urgent else "",
        severity=Severity.WARNING if urgent else Severity.INFO,
        verdict=Verdict.INSPECT if urgent else Verdict.IGNORE,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "box.gpu_moved",
        Severity.INFO,
        Verdict.IGNORE,
        needs=("/memory/baseline",),
        source="https://docs.nvidia.com/deploy/nvml-api/",
        judge=gpu_moved,
        scope=BOX,
        next=f"nothing to do; {SET}",
    ),
    Rule(
        "box.gpu_replaced",
        Severity.INFO,
        Verdict.IGNORE,
        needs=("/memory/baseline",),
        source="https://docs.nvidia.com/deploy/nvml-api/",
        judge=gpu_replaced,
        scope=BOX,
        next=SET,
    ),
    Rule(
        "box.dimm_missing",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("/memory/baseline",),
        source="https://www.dmtf.org/standards/smbios",
        judge=dimm_missing,
        scope=_whole("dimms"),
        next=f"look at the BMC's event log and reseat the module at the next window; {SET}",
    ),
    Rule(
        "box.disk_missing",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("/memory/baseline",),
        source="https://docs.kernel.org/admin-guide/sysfs-rules.html",
        judge=disk_missing,
        scope=_whole("disks"),
        next=f"look for it in the kernel log (journalctl -k) and reseat it; {SET}",
    ),
    Rule(
        "gpu.row_remap.runway",
        Severity.INFO,
        Verdict.IGNORE,
        needs=("remapped_rows/uncorrectable", "row_remapper_histogram/max", "/memory/history"),
        source="https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/rma-policy-thresholds-for-row-remapping.html",
        judge=row_remap_runway,
        scope=GPU,
        next="nothing now; keep checking, the rate decides",
    ),
)
