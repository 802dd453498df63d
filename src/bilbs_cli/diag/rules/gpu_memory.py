"""Rules about the repair of a GPU's memory: rows that are remapped, banks, channels, and what cannot be repaired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bilbs_cli.diag.findings import Case, Evidence, Found, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, DIAGNOSE, FIELD_DIAGNOSTIC, reset
from bilbs_cli.diag.rules.gpu_readings import most, set_in
from bilbs_cli.diag.rules.scopes import GPU

NVIDIA = "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt"
RMA_POLICY = f"{NVIDIA}/rma-policy-thresholds-for-row-remapping.html"
FLAGS = f"{NVIDIA}/error-recovery-and-response-flags.html"

MOST_REMAPS = 512  # RMA_POLICY; DCGM_LIMIT_MAX_ROW_REMAP_UNCORRECTABLE
MUCH = 2  # ours: more than one a week, as DCGM does for retired pages
WEEK = timedelta(days=7)

FAILURE = ("remapped_rows/failure", "fields/remapped_rows/failure")
PENDING = ("remapped_rows/pending", "fields/remapped_rows/pending")
UNCORRECTABLE = ("remapped_rows/uncorrectable", "fields/remapped_rows/uncorrectable")
BANK_PENDING = ("bank_remapper/pending", "fields/bank_remapper/pending")
REPAIRS = {"repair/channel_pending": "a memory channel", "repair/tpc_pending": "a TPC"}


def row_remap_failure(case: Case) -> Iterator[Found]:
    """Row remapping failed: an error could not be mapped out of the GPU's memory.

    NVIDIA sets the flag when a bank that has eight remaps meets one more uncorrectable error, when a row that was
    remapped before fails again, or after 512 remaps in all. It stays set. The card qualifies for an RMA when the field
    diagnostic confirms it: the flag alone is a candidate. With live MIG instances the driver cannot be asked for it.

    Fires:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/remapped_rows/failure = true
    Quiet:
        gpu/devices/0/remapped_rows/failure = error NVMLError_NotSupported 3 Not Supported
        gpu/devices/0/fields/remapped_rows/failure = false
    """
    if path := set_in(case, *FAILURE):
        yield Found(
            "row remapping failed: this GPU's memory has an error that it could not map out",
            (case.cite(path), *_state(case)),
            have=("the row remapping failure flag is set",),
            missing=(FIELD_DIAGNOSTIC,),
        )


def _state(case: Case) -> Iterator[Evidence]:
    for path in (UNCORRECTABLE[0], "row_remapper_histogram/none"):
        if case.get(path) is not None:
            yield case.cite(path)


def row_remap_uncorrectable(case: Case) -> Iterator[Found]:
    """Row remaps for uncorrectable errors reached NVIDIA's limit of 512.

    The next remap sets the failure flag, and the flag is what an RMA needs: until then the card is to be drained and
    tested. Azure's check compares with more than 512, DCGM with 512 and more; the earlier one is taken.

    Fires:
        gpu/devices/0/remapped_rows/uncorrectable = 512
    Quiet:
        gpu/devices/0/remapped_rows/uncorrectable = 511
    """
    count, path = most(case, *UNCORRECTABLE)
    if count >= MOST_REMAPS:
        yield Found(
            f"{count} rows were remapped for uncorrectable errors, the limit is {MOST_REMAPS}", (case.cite(path),)
        )


def row_remap_pending(case: Case) -> Iterator[Found]:
    """Row remap waits for a reset of the GPU.

    What runs goes on unharmed: the page with the bad row was taken offline. The remap happens with the next reset, and
    before a virtual machine is moved here the GPU is to be reset (NVIDIA).

    Fires:
        gpu/devices/0/fields/remapped_rows/pending = true
    Quiet:
        gpu/devices/0/remapped_rows/pending = false
    """
    if path := set_in(case, *PENDING):
        yield Found(
            "a row of this GPU's memory waits to be remapped", (case.cite(path),), next=f"no hurry: {reset(case)}"
        )


def row_remap_histogram(case: Case) -> Iterator[Found]:
    """Banks of the GPU's memory run out of spare rows.

    The histogram counts banks by the spare rows they have left. A bank with none is one error away from a failure that
    qualifies for an RMA; a growing number of banks with few is on the way there. NVIDIA gives no limit for either: that
    this is the time to plan is our reading. The comparison needs a baseline, the banks with none do not.

    Fires:
        gpu/devices/0/row_remapper_histogram/none = 1
        gpu/devices/0/row_remapper_histogram/low = 0
    Quiet:
        gpu/devices/0/row_remapper_histogram/none = 0
        gpu/devices/0/row_remapper_histogram/low = 2
    """
    none, low = (most(case, f"row_remapper_histogram/{word}")[0] for word in ("none", "low"))
    card = gpu_past.known_card(case)
    before = card.counters.get("banks_low") if card else None
    cited = (case.cite("row_remapper_histogram/none"), case.cite("row_remapper_histogram/low"))
    if none:
        yield Found(
            f"{none} bank{'s' * (none > 1)} of this GPU's memory {'have' if none > 1 else 'has'} no spare row", cited
        )
    elif before is not None and low > before:
        yield Found(f"{low} banks of this GPU's memory have few spare rows left, {before} in the baseline", cited)


def row_remap_growth(case: Case) -> Iterator[Found]:
    """Rows of the GPU's memory were remapped lately.

    One remap is a repair that worked. Two and more within seven days (our limit, like DCGM's for retired pages) are a
    trend and a warning. What the baseline does not know and no sample of the last seven days either is not judged.

    Fires:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/serial = "1652324000311"
        gpu/devices/0/remapped_rows/uncorrectable = 3
        memory/history = {"samples": [{"at": "2026-11-19T04:00:00+00:00", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"remapped_uncorrectable": 1}}]}
    Quiet:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/serial = "1652324000311"
        gpu/devices/0/remapped_rows/uncorrectable = 3
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"remapped_uncorrectable": 3}}]}
    """
    count, path = most(case, *UNCORRECTABLE)
    name = "remapped_uncorrectable"
    recent = [one for one in gpu_past.samples(case) if name in one.counters and case.box.now - one.at <= WEEK]
    card, known = gpu_past.known_card(case), gpu_past.baseline(case)
    before = card.counters.get(name) if card else None
    if not recent and before is None:
        raise Unjudged(gpu_past.BASELINE, "neither the baseline nor a check of the last week knows this card's remaps")
    if recent and (grown := count - recent[0].counters[name]) > 0:
        since = f"since {recent[0].at:%Y-%m-%d}"
        loud = grown >= MUCH
        yield _grown(case, path, grown, since, gpu_past.HISTORY, Severity.WARNING if loud else Severity.INFO)
    elif before is not None and known and count > before:
        since = f"since the baseline of {known.taken_at:%Y-%m-%d}"
        yield _grown(case, path, count - before, since, gpu_past.BASELINE, Severity.INFO)


def _grown(case: Case, path: str, grown: int, since: str, memory: str, severity: Severity) -> Found:
    text = f"{grown} row{'s' * (grown > 1)} remapped for uncorrectable errors {since}"
    loud = severity is not Severity.INFO
    return Found(
        text,
        (case.cite(path), case.cite(memory, text)),
        severity=severity,
        verdict=Verdict.INSPECT if loud else Verdict.IGNORE,
        next=DIAGNOSE if loud else "nothing now; keep checking, the rate decides",
    )


def bank_remap_pending(case: Case) -> Iterator[Found]:
    """Bank of the GPU's memory waits for a reset to be remapped.

    Blackwell and later can remap a whole bank where rows are not enough. It happens with the next reset.

    Fires:
        gpu/devices/0/bank_remapper/pending = true
    Quiet:
        gpu/devices/0/bank_remapper/pending = false
    """
    if path := set_in(case, *BANK_PENDING):
        yield Found("a bank of this GPU's memory waits to be remapped", (case.cite(path),), next=reset(case))


def repair_pending(case: Case) -> Iterator[Found]:
    """Repair of a memory channel or of a TPC waits for a reset of the GPU.

    Fires:
        gpu/devices/0/repair/channel_pending = true
        gpu/devices/0/repair/tpc_pending = false
    Quiet:
        gpu/devices/0/repair/channel_pending = false
        gpu/devices/0/repair/tpc_pending = false
    """
    for path in [set_in(case, one) for one in REPAIRS]:
        if path:
            yield Found(f"the repair of {REPAIRS[path]} waits for a reset", (case.cite(path),), next=reset(case))


def unrepairable_memory(case: Case) -> Iterator[Found]:
    """Memory of the GPU cannot be repaired: the driver says so itself.

    Fires:
        gpu/devices/0/unrepairable_memory = true
    Quiet:
        gpu/devices/0/unrepairable_memory = false
    """
    if path := set_in(case, "unrepairable_memory"):
        yield Found(
            "this GPU has memory that cannot be repaired",
            (case.cite(path), *_state(case)),
            have=("the driver's flag for memory that cannot be repaired",),
            missing=(FIELD_DIAGNOSTIC,),
        )


_PULL = f"drain the box; {CAPTURE}; then run {FIELD_DIAGNOSTIC.removesuffix(' that confirms it')} and open a case"

GPU_MEMORY_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.row_remap.failure",
        Severity.CRITICAL,
        Verdict.RMA,
        needs=("|".join(FAILURE),),
        source=RMA_POLICY,
        judge=row_remap_failure,
        scope=GPU,
        next=_PULL,
    ),
    Rule(
        "gpu.row_remap.uncorrectable",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=("|".join(UNCORRECTABLE),),
        source=RMA_POLICY,
        judge=row_remap_uncorrectable,
        scope=GPU,
        next=_PULL,
    ),
    Rule(
        "gpu.row_remap.pending",
        Severity.WARNING,
        Verdict.RESET_GPU,
        needs=("|".join(PENDING),),
        source=FLAGS,
        judge=row_remap_pending,
        scope=GPU,
    ),
    Rule(
        "gpu.row_remap.histogram",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("row_remapper_histogram/none", "row_remapper_histogram/low"),
        source=RMA_POLICY,
        judge=row_remap_histogram,
        scope=GPU,
        next=f"plan its replacement; {DIAGNOSE}",
    ),
    Rule(
        "gpu.row_remap.growth",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("|".join(UNCORRECTABLE), f"{gpu_past.BASELINE}|{gpu_past.HISTORY}"),
        source=RMA_POLICY,
        judge=row_remap_growth,
        scope=GPU,
    ),
    Rule(
        "gpu.bank_remap.pending",
        Severity.WARNING,
        Verdict.RESET_GPU,
        needs=("|".join(BANK_PENDING),),
        source="https://docs.nvidia.com/deploy/nvml-api/api/group__nvmlFieldValueEnums.html",
        judge=bank_remap_pending,
        scope=GPU,
    ),
    Rule(
        "gpu.repair.pending",
        Severity.WARNING,
        Verdict.RESET_GPU,
        needs=tuple(REPAIRS),
        source=RMA_POLICY,
        judge=repair_pending,
        scope=GPU,
    ),
    Rule(
        "gpu.unrepairable_memory",
        Severity.CRITICAL,
        Verdict.RMA,
        needs=("unrepairable_memory",),
        source=RMA_POLICY,
        judge=unrepairable_memory,
        scope=GPU,
        next=_PULL,
    ),
)
