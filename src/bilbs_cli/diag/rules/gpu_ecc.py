"""Rules about errors in a GPU's memories: ECC counters of SRAM and DRAM, the ECC mode, retired pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, DIAGNOSE, FIELD_DIAGNOSTIC, reset
from bilbs_cli.diag.rules.gpu_memory import FLAGS, RMA_POLICY
from bilbs_cli.diag.rules.gpu_readings import counter, most, set_in
from bilbs_cli.diag.rules.scopes import GPU

DCGM = "https://github.com/NVIDIA/DCGM/blob/master/modules/health/DcgmHealthWatch.cpp"
AZURE = "https://github.com/Azure/azurehpc-health-checks/blob/main/customTests/azure_gpu_ecc.nhc"
PAGES = "https://docs.nvidia.com/deploy/dynamic-page-retirement/index.html"

MOST_SRAM_CORRECTED = 10_000  # AZURE, its configuration
DRAM_AZURE, DRAM_GCM = 20_000_000, 50_000_000  # the two tools do not agree
MOST_PAGES = 63  # DCGM_LIMIT_MAX_RETIRED_PAGES; the table has room for 64
MOST_PAGES_PENDING = 62  # AZURE, together with one that waits
SOFT_PAGES = 15  # DCGM_LIMIT_MAX_RETIRED_PAGES_SOFT_LIMIT, of double bit errors
PAGES_A_WEEK = 1  # more than that past the soft limit (DCGM)
WEEK = timedelta(days=7)

THRESHOLD = "ecc/sram_status/threshold_exceeded"
SRAM_UNCORRECTED = {
    kind: (
        f"ecc/{kind}/sram/uncorrected",
        f"ecc/sram_status/{kind}/uncorrected_parity",
        f"ecc/sram_status/{kind}/uncorrected_secded",
    )
    for kind in ("volatile", "aggregate")
}
SRAM_CORRECTED = {
    kind: (f"ecc/{kind}/sram/corrected", f"ecc/sram_status/{kind}/corrected") for kind in ("volatile", "aggregate")
}
DRAM_CORRECTED = ("ecc/volatile/dram/corrected", "ecc/aggregate/dram/corrected")
CAUSES = ("single_bit", "double_bit")


def sram_threshold(case: Case) -> Iterator[Found]:
    """SRAM of the GPU has more uncorrectable errors than NVIDIA allows.

    The driver sets the flag when one address bank had more than four different uncorrectable errors (parity), or more
    than two (SEC-DED). It is only readable as root, on Ampere and later. The card qualifies for an RMA when the field
    diagnostic confirms it.

    Fires:
        gpu/devices/0/ecc/sram_status/threshold_exceeded = true
    Quiet:
        gpu/devices/0/ecc/sram_status/threshold_exceeded = false
    """
    if path := set_in(case, THRESHOLD):
        counts = [one for one in SRAM_UNCORRECTED["aggregate"] if counter(case, one) is not None]
        yield Found(
            "this GPU's SRAM passed NVIDIA's threshold for uncorrectable errors",
            (case.cite(path), *map(case.cite, counts)),
            have=("the SRAM threshold flag is set",),
            missing=(FIELD_DIAGNOSTIC,),
        )


def sram_uncorrected(case: Case) -> Iterator[Found]:
    """SRAM of the GPU had uncorrectable errors.

    Azure takes a GPU with any out of service, since the last reset or ever. NVIDIA replaces it only past the threshold
    (see gpu.sram.threshold), so this is a warning: test it before it gets work again.

    Fires:
        gpu/devices/0/ecc/volatile/sram/uncorrected = 0
        gpu/devices/0/ecc/aggregate/sram/uncorrected = 1
    Quiet:
        gpu/devices/0/ecc/volatile/sram/uncorrected = 0
        gpu/devices/0/ecc/aggregate/sram/uncorrected = 0
    """
    now, recent = most(case, *SRAM_UNCORRECTED["volatile"])
    ever, before = most(case, *SRAM_UNCORRECTED["aggregate"])
    if now or ever:
        words = f"{now} since the driver was loaded, {max(now, ever)} in its life"
        yield Found(f"uncorrectable errors in this GPU's SRAM: {words}", (case.cite(recent), case.cite(before)))


def sram_corrected(case: Case) -> Iterator[Found]:
    """SRAM of the GPU had more than 10,000 errors that were corrected.

    Nothing was lost, and NVIDIA has no limit for them. Azure's takes such a GPU out of service.

    Fires:
        gpu/devices/0/ecc/volatile/sram/corrected = 0
        gpu/devices/0/ecc/aggregate/sram/corrected = 10001
    Quiet:
        gpu/devices/0/ecc/volatile/sram/corrected = 0
        gpu/devices/0/ecc/aggregate/sram/corrected = 10000
    """
    count, path = max(most(case, *paths) for paths in SRAM_CORRECTED.values())
    if count > MOST_SRAM_CORRECTED:
        yield Found(f"{count} corrected errors in this GPU's SRAM", (case.cite(path),))


def dram_corrected(case: Case) -> Iterator[Found]:
    """DRAM of the GPU had very many errors that were corrected.

    The tools do not agree: Azure's limit is 20 million, Meta's gcm has 50 million, NVIDIA leaves corrected errors out of
    its policy. So this is for information; what counts is whether the number grows faster than before.

    Fires:
        gpu/devices/0/ecc/volatile/dram/corrected = 20000000
        gpu/devices/0/ecc/aggregate/dram/corrected = 20000000
    Quiet:
        gpu/devices/0/ecc/volatile/dram/corrected = 19999999
        gpu/devices/0/ecc/aggregate/dram/corrected = 19999999
    """
    count, path = max(most(case, one) for one in DRAM_CORRECTED)
    if count >= DRAM_AZURE:
        past = "gcm's limit of 50 million too" if count >= DRAM_GCM else "and gcm only counts from 50 million"
        yield Found(
            f"{count} corrected errors in this GPU's memory: past Azure's limit of 20 million, {past}",
            (case.cite(path),),
        )


def ecc_uncorrected(case: Case) -> Iterator[Found]:
    """Uncorrectable ECC errors since the driver was loaded.

    Data was lost, and what used it was stopped. DCGM fails a GPU with any. After the reset the row remapper decides
    whether the card is worn (see gpu.row_remap.failure).

    Fires:
        gpu/devices/0/ecc/volatile/uncorrected = 1
    Quiet:
        gpu/devices/0/ecc/volatile/uncorrected = 0
    """
    count, path = most(case, "ecc/volatile/uncorrected")
    if count:
        places = [f"ecc/volatile/{place}/uncorrected" for place in ("dram", "sram")]
        cited = (case.cite(path), *(case.cite(place) for place in places if counter(case, place)))
        text = f"{count} uncorrectable ECC error{'s' * (count > 1)} since the driver was loaded"
        yield Found(
            text, cited, next=f"drain the box; {reset(case)}; after that look at its row remaps: bilbs diag check"
        )


def ecc_mode(case: Case) -> Iterator[Found]:
    """ECC is off, or will be something else after the next reset.

    Without ECC a GPU computes on with flipped bits, and none of the counters here counts. Off counts only where the
    board's default is on.

    Fires:
        gpu/devices/0/ecc_mode_current = true
        gpu/devices/0/ecc_mode_pending = false
    Quiet:
        gpu/devices/0/ecc_mode_current = true
        gpu/devices/0/ecc_mode_pending = true
        gpu/devices/0/ecc_mode_default = true
    """
    now, pending = bool(set_in(case, "ecc_mode_current")), bool(set_in(case, "ecc_mode_pending"))
    cited = (case.cite("ecc_mode_current"), case.cite("ecc_mode_pending"))
    words = {True: "on", False: "off"}
    if now is not pending:
        text = f"ECC is {words[now]} and will be {words[pending]} after the next reset of this GPU"
        yield Found(text, cited, next=f"if that is wanted: {reset(case)}; else nvidia-smi -e {int(now)}")
    elif not now and case.get("ecc_mode_default") is True:
        text = "ECC is off: errors in this GPU's memory are neither corrected nor counted"
        yield Found(text, (*cited, case.cite("ecc_mode_default")), next=f"nvidia-smi -e 1; then {reset(case)}")


def retired_pages_count(case: Case) -> Iterator[Found]:
    """Retired pages of the GPU's memory reached the limit (GPUs before Ampere).

    The table has room for 64 pages. DCGM fails a GPU with 63, Azure one with 62 while another waits; older versions of
    DCGM had 60.

    Fires:
        gpu/devices/0/retired_pages/single_bit = []
        gpu/devices/0/retired_pages/double_bit = error NVMLError_NotSupported 3 Not Supported
        gpu/devices/0/fields/retired_pages/double_bit = 63
    Quiet:
        gpu/devices/0/fields/retired_pages/single_bit = 61
        gpu/devices/0/fields/retired_pages/double_bit = 1
        gpu/devices/0/retired_pages/pending = false
    """
    pages = [_pages(case, cause) for cause in CAUSES]
    total, pending = sum(count for count, _ in pages), case.get("retired_pages/pending") is True
    if total >= MOST_PAGES or (pending and total >= MOST_PAGES_PENDING):
        text = f"{total} pages of this GPU's memory are retired{', and another waits' * pending}; there is room for 64"
        cited = [case.cite(path, f"{count} pages at {path}") for count, path in pages]
        yield Found(text, (*cited, *([case.cite("retired_pages/pending")] if pending else [])))


def _pages(case: Case, cause: str) -> tuple[int, str]:
    """Return how many pages are retired for a cause: of the list, else of the field. Raises `Unjudged`."""
    listed = case.get(f"retired_pages/{cause}")
    if isinstance(listed, list):
        return len(listed), f"retired_pages/{cause}"
    count = counter(case, f"fields/retired_pages/{cause}")
    if count is None:
        raise case.unread(f"retired_pages/{cause}")
    return count, f"fields/retired_pages/{cause}"


def retired_pages_pending(case: Case) -> Iterator[Found]:
    """Page of the GPU's memory waits to be retired (GPUs before Ampere).

    Until the driver is loaded again or the GPU is reset, programs may still get the bad page.

    Fires:
        gpu/devices/0/retired_pages/pending = true
    Quiet:
        gpu/devices/0/retired_pages/pending = false
    """
    if path := set_in(case, "retired_pages/pending"):
        yield Found("a bad page of this GPU's memory waits to be retired", (case.cite(path),), next=reset(case))


def retired_pages_rate(case: Case) -> Iterator[Found]:
    """Pages are retired for double bit errors, more than one a week (GPUs before Ampere).

    DCGM fails a GPU with more than 15 of them that goes on to lose more than one a week. The times stand in the list of
    pages; where the driver has none, the history of this box tells how many there were a week ago.

    Fires:
        gpu/devices/0/retired_pages/single_bit = []
        gpu/devices/0/serial = "1652324000311"
        gpu/devices/0/fields/retired_pages/double_bit = 18
        memory/history = {"samples": [{"at": "2026-11-14T04:00:00+00:00", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"retired_pages": 16}}]}
    Quiet:
        gpu/devices/0/retired_pages/double_bit = [{"address": "0x1f000", "retired_at_s": 1755700000}]
    """
    count, path = _pages(case, "double_bit")
    if count <= SOFT_PAGES:
        return
    grown, cited = _retired_this_week(case)
    if grown > PAGES_A_WEEK:
        text = f"{count} pages are retired for double bit errors, {grown} of them within a week"
        yield Found(text, (case.cite(path, f"{count} pages at {path}"), case.cite(cited, f"{grown} within a week")))


def _retired_this_week(case: Case) -> tuple[int, str]:
    """Return how many pages were lost to double bit errors in seven days, and where that is known from."""
    listed, now = case.get("retired_pages/double_bit"), case.box.now.timestamp()
    if isinstance(listed, list):
        times = [one.get("retired_at_s") if isinstance(one, dict) else None for one in listed]
        known = [at for at in times if isinstance(at, int) and not isinstance(at, bool)]
        if len(known) == len(times):
            return sum(0 <= now - at <= WEEK.total_seconds() for at in known), "retired_pages/double_bit"
    name, total = "retired_pages", sum(_pages(case, cause)[0] for cause in CAUSES)
    old = [one for one in gpu_past.samples(case) if name in one.counters and case.box.now - one.at >= WEEK]
    if not old:
        raise Unjudged(gpu_past.HISTORY, "no check of a week ago or earlier counted this card's retired pages")
    weeks = (case.box.now - old[-1].at) / WEEK
    return int((total - old[-1].counters[name]) / weeks), gpu_past.HISTORY


_TEST = f"drain the box; {CAPTURE}; then run {FIELD_DIAGNOSTIC.removesuffix(' that confirms it')} and open a case"
_PAGE_NEEDS = tuple(f"retired_pages/{cause}|fields/retired_pages/{cause}" for cause in CAUSES)

GPU_ECC_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.sram.threshold",
        Severity.CRITICAL,
        Verdict.RMA,
        needs=(THRESHOLD,),
        source=RMA_POLICY,
        judge=sram_threshold,
        scope=GPU,
        next=_TEST,
    ),
    Rule(
        "gpu.sram.uncorrected",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=tuple("|".join(paths) for paths in SRAM_UNCORRECTED.values()),
        source=AZURE,
        judge=sram_uncorrected,
        scope=GPU,
        next=DIAGNOSE,
    ),
    Rule(
        "gpu.sram.corrected",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=tuple("|".join(paths) for paths in SRAM_CORRECTED.values()),
        source=AZURE,
        judge=sram_corrected,
        scope=GPU,
        next=DIAGNOSE,
    ),
    Rule(
        "gpu.dram.corrected",
        Severity.INFO,
        Verdict.IGNORE,
        needs=DRAM_CORRECTED,
        source=AZURE,
        judge=dram_corrected,
        scope=GPU,
        next="nothing now; see whether it grows: bilbs diag diff",
    ),
    Rule(
        "gpu.ecc.uncorrected",
        Severity.CRITICAL,
        Verdict.RESET_GPU,
        needs=("ecc/volatile/uncorrected",),
        source=DCGM,
        judge=ecc_uncorrected,
        scope=GPU,
    ),
    Rule(
        "gpu.ecc.mode",
        Severity.WARNING,
        Verdict.RESET_GPU,
        needs=("ecc_mode_current", "ecc_mode_pending"),
        source=FLAGS,
        judge=ecc_mode,
        scope=GPU,
    ),
    Rule(
        "gpu.retired_pages.count",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=_PAGE_NEEDS,
        source=DCGM,
        judge=retired_pages_count,
        scope=GPU,
        next=_TEST,
    ),
    Rule(
        "gpu.retired_pages.pending",
        Severity.WARNING,
        Verdict.RESET_GPU,
        needs=("retired_pages/pending",),
        source=PAGES,
        judge=retired_pages_pending,
        scope=GPU,
    ),
    Rule(
        "gpu.retired_pages.rate",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=(_PAGE_NEEDS[1], f"retired_pages/double_bit|{gpu_past.HISTORY}"),
        source=DCGM,
        judge=retired_pages_rate,
        scope=GPU,
        next=_TEST,
    ),
)
