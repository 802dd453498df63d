"""The RMA packet: what it says of a dead GPU, what it says honestly of the rest, and how it is written."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag import rma, rma_checklist, rma_evidence, rma_oems
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Box, Evidence, Finding, Gap, NotEvaluated, Severity, Verdict
from bilbs_cli.diag.rma_packet import NO_RMA
from bilbs_cli.errors import NotFound, OutputUnwritable, UsageProblem
from tests.diag.judged import HOSTILE, KERN, PART, PCI, XID, checks, dead_gpu_findings, judge
from tests.diag.remembered import NOW, tree
from tests.diag.returned import MEMBERS, SERIAL, checked, packet, reading, text
from tests.parts.disk import Disk, small_disk


def test_the_case_text_of_a_dead_gpu_stands_in_dells_order_with_the_serial_of_the_baseline() -> None:
    lines = text(packet(checked("dell")), "case.txt").splitlines()
    assert lines[0] == (
        f"RMA request: GPU 1 ({PCI}, slot 5): the GPU has fallen off the bus [xid.79] - Service Tag 7XK2LN3"
    )
    assert lines[2:7] == [
        "Service Tag: 7XK2LN3",
        "System: PowerEdge XE9680",
        f"Failed part: NVIDIA H100 80GB HBM3: GPU 1 ({PCI}, slot 5)",
        f"GPU serial number: {SERIAL} (from the baseline of 2026-11-01)",
        "GPU part number: 692-2G520-0200-000 (from the baseline of 2026-11-01)",
    ]
    assert f"    Nov 21 03:12:01 gpu01 kernel: [12345.678] {XID}" in lines


def test_it_says_how_sure_it_is_and_what_is_missing() -> None:
    found = packet(checked())
    assert found.worthy
    assert found.sure == (
        "RMA candidate, 1 of 3 proofs (xid.79): there is the Xid; "
        "needs the same after a power cycle and the field diagnostic."
    )
    assert "needs the same" in " ".join(text(found, "case.txt").split())


def test_two_proofs_of_three_name_the_one_that_is_missing() -> None:
    off, *rest = dead_gpu_findings()
    better = replace(off, have=("the Xid", "the same after a power cycle"), missing=("the field diagnostic",))
    sure = packet(checked("dell", better, *rest)).sure
    assert sure.startswith("RMA candidate, 2 of 3 proofs (xid.79)")
    assert sure.endswith("needs the field diagnostic.")


@pytest.mark.parametrize(
    ("maker", "oem", "words"),
    [
        ("dell", "dell", "guessed: DMI (sys_vendor) says Dell Inc."),
        ("supermicro", "supermicro", "guessed: DMI (sys_vendor) says Supermicro"),
        ("nvidia", "nvidia", "guessed: DMI (sys_vendor) says NVIDIA"),
        ("nobody", "nvidia", "guessed: no vendor of the box that is known here"),
    ],
)
def test_the_maker_is_guessed_and_the_guess_is_said(maker: str, oem: str, words: str) -> None:
    found = packet(checked(maker))
    assert found.oem.name == oem
    assert found.oem_from.startswith(words)
    assert words in " ".join(text(found, "README.txt").split())


def test_a_maker_that_was_told_is_taken_and_a_contradiction_is_said() -> None:
    found = packet(checked("supermicro"), oem="dell")
    assert (found.oem.name, found.oem_from) == ("dell", "as told with --oem; but DMI (sys_vendor) says Supermicro")
    with pytest.raises(UsageProblem, match="known are dell, supermicro, nvidia"):
        packet(checked(), oem="hpe")


def test_the_maker_is_known_from_the_fru_where_there_is_no_dmi() -> None:
    fru = {"name": "BMC", "board": {"manufacturer": "Supermicro", "serial": "BSN-1"}, "product": {"serial": "S1"}}
    found = packet(checked("nobody", readings={"bmc/fru/0": fru}))
    assert found.oem.name == "supermicro"
    ids = {one.key: one for one in found.identifiers}
    assert (ids["board_serial"].value, ids["board_serial"].source) == ("BSN-1", "FRU 0, board area")
    assert ids["system_serial"].value == "S1"


def test_what_could_not_be_read_is_said_with_the_reason_and_never_guessed() -> None:
    ids = {one.key: one for one in packet(checked("nvidia")).identifiers}
    assert ids["system_serial"].value == ""
    assert ids["system_serial"].why == "DMI (product_serial): denied; FRU 0, product area: not in this bundle"


def test_a_serial_that_the_maker_did_not_fill_in_is_none() -> None:
    ids = {one.key: one for one in packet(checked("supermicro")).identifiers}
    assert ids["chassis_serial"].value == ""
    assert "the maker wrote nothing there" in ids["chassis_serial"].why


def test_a_gpu_without_any_serial_says_why() -> None:
    found = checked("dell", readings={"memory/baseline": None})
    ids = {one.key: one for one in packet(found).identifiers}
    assert ids["part_serial"].value == ""
    assert "no baseline and no log has it" in ids["part_serial"].why
    assert not next(one for one in packet(found).items if one.id == "part_serial").have


def test_the_evidence_holds_the_raw_lines_the_records_and_the_timeline() -> None:
    found = text(packet(checked()), "evidence.txt")
    assert f"{KERN}:2, 2026-11-21 03:12:01 UTC  Nov 21 03:12:01 gpu01 kernel: [12345.678] {XID}" in found
    assert "[asserted]  raw 09 00 02 de e2 00 6b 20 00 04 13 63 6f a8 3b 00" in found
    assert "(first cause)" in found


def test_a_line_that_is_another_one_in_the_member_is_not_quoted() -> None:
    found = packet(checked(), members={KERN: b"one\nsomething else\n"})
    assert "something else" not in text(found, "evidence.txt")
    assert XID in text(found, "evidence.txt")


def test_a_bundle_that_gives_no_member_still_gives_a_packet() -> None:
    found = rma.build(checked(), "gpu:1", None, reading({}))
    assert XID in text(found, "evidence.txt")
    assert "sha256 of it: none" in text(found, "README.txt")


def test_the_lines_of_the_first_few_members_are_looked_up_and_those_of_the_candidates_first() -> None:
    off, *rest = dead_gpu_findings()
    proofs = tuple(Evidence(f"kernel/var/log/syslog.{number}", "words of its own", 1) for number in range(9))
    loud = replace(off, verdict=Verdict.INSPECT, rule="xid.48", evidence=proofs)
    found = packet(
        checked("dell", loud, off, *rest),
        members={f"kernel/var/log/syslog.{number}": b"a line with words of its own" for number in range(9)},
    )
    said = text(found, "evidence.txt")
    assert f"kernel: [12345.678] {XID}" in said
    assert said.count("a line with words of its own") == rma_evidence.MOST_READ - 1


def test_a_root_cause_elsewhere_is_told() -> None:
    off, *rest = dead_gpu_findings()
    supply = Finding("bmc.psu.lost", Severity.CRITICAL, Verdict.INSPECT, "bmc:sensor:PSU2", "input lost", (), "", "")
    found = packet(checked("dell", replace(off, caused_by=supply.key), supply, *rest))
    assert found.sure.endswith("Its root cause is elsewhere: bmc.psu.lost on bmc:sensor:PSU2.")
    assert "[CRITICAL] bmc.psu.lost on bmc:sensor:PSU2 (root cause): input lost" in text(found, "evidence.txt")


def test_findings_json_holds_the_part_and_its_followers_only() -> None:
    document = json.loads(packet(checked()).files["findings.json"])
    assert {one["rule"] for one in document["findings"]} == {"xid.79", "xid.45"}
    assert [one["pci"] for one in document["gpus"]] == [PCI]


def test_a_healthy_part_gets_a_packet_that_says_nothing_supports_an_rma() -> None:
    quiet = Finding("gpu.persistence", Severity.INFO, Verdict.IGNORE, "gpu:0000:1b:00.0", "it is off", (), "", "")
    found = packet(checked("dell", quiet), "gpu:0")
    assert not found.worthy
    assert found.sure == f"{NO_RMA} No finding speaks of it."
    assert text(found, "case.txt").startswith("Question: GPU 0")
    assert NO_RMA in text(found, "case.txt")
    assert "dispatch" not in text(found, "case.txt")


def test_a_suspect_is_told_which_proofs_are_there_and_what_to_do_first() -> None:
    off, *rest = dead_gpu_findings()
    later = replace(
        off, rule="host.aer.logged", verdict=Verdict.INSPECT, have=(), missing=(), caused_by="xid.79@" + PART
    )
    found = packet(checked("dell", replace(off, verdict=Verdict.REBOOT), later, *rest))
    assert not found.worthy
    assert found.sure == (
        "Not an RMA candidate yet, 1 of 3 proofs (xid.79): there is the Xid; needs the same after a power cycle and the "
        "field diagnostic. Do this first: reboot."
    )
    found = packet(checked("dell", replace(off, verdict=Verdict.REBOOT, have=(), missing=()), later))
    assert found.sure == f"{NO_RMA} Its findings say: reboot (xid.79)."


def test_what_could_not_be_evaluated_is_said_of_a_part_without_findings() -> None:
    gap = NotEvaluated("a.b", "gpu:0000:1b:00.0", Gap.ERROR, "x", "x was not readable")
    quiet = Finding("x.y", Severity.INFO, Verdict.IGNORE, "host", "m", (), "", "")
    sure = packet(checked("dell", quiet, gaps=(gap,)), "gpu:0").sure
    assert sure.endswith("1 rule could not be evaluated on it: what was not read is not healthy.")


def test_a_part_with_milder_findings_only_is_no_candidate() -> None:
    sure = packet(checked(), "gpu:0").sure
    assert sure == f"{NO_RMA} Its findings say: reset the GPU (gpu.row_remap.pending)."


def test_pseudonyms_are_called_stand_ins_and_do_not_count_as_serials() -> None:
    found = packet(checked("dell", header={"options": {"pseudonymized": True}}))
    for name in ("README.txt", "case.txt", "identifiers.txt"):
        assert "bilbs diag reveal case.txt" in " ".join(text(found, name).split())
    items = {one.id: one for one in found.items}
    assert (items["service_tag"].have, items["service_tag"].detail) == (False, "only its pseudonym 7XK2LN3 is here")
    assert json.loads(found.files["custody.json"])["pseudonymized"] is True


def test_the_chain_of_custody_names_the_bundle_and_every_file() -> None:
    found = packet(checked())
    custody = json.loads(found.files["custody.json"])
    assert custody["bundle"]["sha256"] == "ab" * 32
    assert custody["redaction"] == {"rules_version": "142", "replaced": 7}
    sums = dict(line.split("  ")[::-1] for line in text(found, "SHA256SUMS").splitlines())
    assert sums == {
        name: hashlib.sha256(data).hexdigest() for name, data in found.files.items() if name != "SHA256SUMS"
    }


@pytest.mark.parametrize("part", ["gpu", "nvswitch", "psu", "fan", "dimm", "disk", "net"])
@pytest.mark.parametrize("oem", list(rma_oems.oems()))
def test_every_want_of_a_maker_has_a_check_and_says_how_to_get_it(oem: str, part: str) -> None:
    wants = rma_oems.oems()[oem].wants_for(part)
    assert wants
    for want in wants:
        assert want.check.partition(":")[0] in rma_checklist.CHECKS
        assert want.what
        assert want.how
        assert want.source == "" or want.source.startswith("http")
    assert len({want.id for want in wants}) == len(wants)


@pytest.mark.parametrize("oem", list(rma_oems.oems().values()), ids=lambda one: one.name)
def test_every_field_of_a_form_is_an_identifier(oem: rma_oems.Oem) -> None:
    gpu = {one.key for one in packet(checked("supermicro")).identifiers}
    assert set(oem.fields) <= gpu


@pytest.mark.parametrize(
    ("booted", "have"),
    [("2026-11-20T22:00:00+00:00", {"bug_report_fault"}), ("2026-11-21T03:30:00+00:00", {"bug_report_cycle"})],
)
def test_a_bug_report_counts_for_the_boot_it_was_taken_in(booted: str, have: set[str]) -> None:
    box = checked("dell", readings={"system/booted_at": booted})
    found = packet(box, members={"gpu/nvidia-bug-report.log": b"report"})
    assert {one.id for one in found.items if one.id.startswith("bug_report") and one.have} == have
    assert found.files["members/gpu/nvidia-bug-report.log"] == b"report"


def test_the_checklist_knows_a_field_diagnostic_that_was_made() -> None:
    off, *rest = dead_gpu_findings()
    made = replace(off, have=("Field diagnostic failed: result code 140",), missing=())
    items = {one.id: one for one in packet(checked("dell", made, *rest)).items}
    assert items["field_diagnostic"].have


def history(*placements: tuple[str, str, str]) -> dict[str, Any]:
    """Return the memory of faults of xid.79: at which address, which card, when."""
    rows = [{"at": at, "boot": at, "rule": "xid.79", "pci": pci, "serial": serial} for pci, serial, at in placements]
    return {"memory/history": {"samples": [], "faults": rows, "boots": []}}


def test_the_swap_test_that_earlier_checks_saw_is_told() -> None:
    moved = history(("0000:5e:00.0", SERIAL, "2026-11-10T00:00:00+00:00"))
    found = packet(checked("dell", readings=moved))
    assert next(one for one in found.items if one.id == "swap_test").have
    assert f"follows the card (serial {SERIAL})" in " ".join(text(found, "case.txt").split())
    stayed = history((PCI, "another", "2026-11-10T00:00:00+00:00"))
    assert not next(one for one in packet(checked("dell", readings=stayed)).items if one.id == "swap_test").have


def test_a_member_that_was_cut_is_called_so() -> None:
    found = packet(checked(), members={"ipmi/fru.txt": b"x" * (rma.MEMBER_BYTES + 5)})
    assert len(found.files["members/ipmi/fru.txt"]) == rma.MEMBER_BYTES
    assert json.loads(found.files["custody.json"])["cut_members"] == ["ipmi/fru.txt"]


def test_a_packet_is_written_privately_and_its_hashes_hold(tmp_path: Path) -> None:
    found = packet(checked())
    written = rma.write(found, tmp_path)
    assert written.folder.name == f"bilbs-rma-gpu01-gpu-0000-3b-00.0-{NOW:%Y%m%dT%H%M%SZ}"
    assert sorted(path.name for path in tmp_path.iterdir()) == [written.folder.name, written.tarball.name]
    for path in (written.folder, *written.folder.rglob("*"), written.tarball):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=written.folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    assert written.sha256 == hashlib.sha256(written.tarball.read_bytes()).hexdigest()


def test_the_tarball_holds_the_folder_and_its_bytes_depend_on_the_packet_alone(tmp_path: Path) -> None:
    found = packet(checked())
    first, second = rma.write(found, tmp_path / "a"), rma.write(packet(checked()), tmp_path / "b")
    assert first.tarball.read_bytes() == second.tarball.read_bytes()
    assert first.tarball.read_bytes()[4:8] == bytes(4)  # the time in gzip's header (RFC 1952)
    with tarfile.open(first.tarball) as archive:
        members = archive.getmembers()
        assert {one.name for one in members if one.isfile()} == {f"{found.name}/{name}" for name in found.files}
        assert {(one.uid, one.uname, one.mtime) for one in members} == {(0, "", int(NOW.timestamp()))}
    (tmp_path / "c").mkdir()
    subprocess.run(["tar", "-xzf", str(first.tarball), "-C", str(tmp_path / "c")], check=True)
    assert (tmp_path / "c" / found.name / "case.txt").read_bytes() == found.files["case.txt"]


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    found = packet(checked())
    names = [rma.write(found, tmp_path).folder.name for _ in range(3)]
    assert names == [found.name, f"{found.name}-2", f"{found.name}-3"]


def test_a_name_that_is_half_taken_is_left_alone(tmp_path: Path) -> None:
    found = packet(checked())
    (tmp_path / f"{found.name}.tar.gz").write_text("mine")
    written = rma.write(found, tmp_path)
    assert written.folder.name == f"{found.name}-2"
    assert not (tmp_path / found.name).exists()
    assert (tmp_path / f"{found.name}.tar.gz").read_text() == "mine"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 4096 * 12) as mounted:
        yield mounted


def test_a_full_disk_is_an_error_and_nothing_is_left_behind(disk: Disk) -> None:
    found = packet(checked(), members={"ipmi/fru.txt": os.urandom(60_000)})
    with pytest.raises(OutputUnwritable) as caught:
        rma.write(found, disk.path)
    assert caught.value.code == "disk-full"
    assert list(disk.path.iterdir()) == []


def test_a_disk_that_is_full_with_the_tarball_leaves_no_folder_either(disk: Disk) -> None:
    found = packet(checked())
    room = 4096 * (len(found.files) + 6)
    disk.remount(f"size={room}")
    big = replace(found, files={**found.files, "members/ipmi/fru.txt": os.urandom(9_000)})
    with pytest.raises(OutputUnwritable):
        rma.write(big, disk.path)
    assert list(disk.path.iterdir()) == []


def test_a_read_only_disk_and_a_file_in_the_place_of_the_folder_are_errors(disk: Disk, tmp_path: Path) -> None:
    disk.remount("ro")
    with pytest.raises(OutputUnwritable) as caught:
        rma.write(packet(checked()), disk.path)
    assert caught.value.code == "read-only"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable):
        rma.write(packet(checked()), tmp_path / "file")


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rma.write(packet(checked()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_host_and_part_make_no_path_and_no_escape(tmp_path: Path) -> None:
    evil = "../../etc/\x1b]0;x\x07\u202e/" + "x" * 500
    bad = Finding("a\nb", Severity.CRITICAL, Verdict.RMA, f"bmc:{evil}", evil, (Evidence(evil, evil, 3),), evil, evil)
    box = checked("dell", bad, host=evil, readings={"system/dmi/product_serial": evil})
    found = packet(box, f"bmc:{evil}")
    written = rma.write(found, tmp_path / "out")
    assert written.folder.parent == tmp_path / "out"
    assert len(written.folder.name) < 200
    assert written.folder.name.isascii()
    for name in ("README.txt", "case.txt", "checklist.txt", "identifiers.txt", "evidence.txt"):
        assert not any(ord(char) < 32 and char != "\n" for char in text(found, name)), name
        assert "\u202e" not in text(found, name)


PARTS = st.sampled_from(["gpu:0", "gpu:1", PART, "host", "psu:2", "slot:5", "fs:/", "", ":", "gpu:"]) | HOSTILE


@settings(max_examples=80, deadline=None)
@given(checks(), PARTS, st.none() | st.sampled_from(["dell", "supermicro", "nvidia"]), st.binary(max_size=60))
def test_any_bundle_gives_a_packet_or_a_clear_error(box: Checked, part: str, oem: str | None, junk: bytes) -> None:
    try:
        found = rma.build(box, part, oem, lambda names: dict.fromkeys(names, junk))
    except (NotFound, UsageProblem):  # any other error fails
        return
    assert found.files["case.txt"]
    assert rma.tar_bytes(found)
    for name in ("checklist.json", "identifiers.json", "findings.json", "custody.json"):
        json.loads(found.files[name], parse_constant=pytest.fail)


LEAVES = st.one_of(
    st.none(), st.floats(), st.integers(-3, 10**400), HOSTILE, st.lists(st.none() | st.text(max_size=3), max_size=2)
)
AREAS = st.dictionaries(
    st.sampled_from(["name", "entity", "type", "board", "product", "chassis"]),
    LEAVES | st.dictionaries(st.sampled_from(["serial", "manufacturer"]), LEAVES),
    max_size=4,
)
READINGS = st.dictionaries(
    st.sampled_from(
        [
            "system/dmi/sys_vendor", "system/dmi/product_serial", "system/dmi/memory/A1/serial", "bmc/fru/0", "bmc/fru/x",
            "bmc/sensors/1.0.1", "bmc/sel/records", "storage/disks/sda/serial", "storage/disks/nvme0n1/smart/serial",
            "storage/nvme/nvme0/serial", "pci/devices/0000:17:00.0/kind", "pci/slots/7", "system/booted_at",
            "system/edac/mc0/dimms/dimm0/label", "network/interfaces/eth0/physical", "gpu/devices/1/serial",
            "system/dmi/slots/S/bus_address",
        ]
    ),
    LEAVES | AREAS | st.lists(AREAS, max_size=2),
    max_size=8,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(READINGS)
def test_any_readings_give_a_packet_for_every_part_there_is(readings: dict[str, Any]) -> None:
    from bilbs_cli.diag.rma_parts import all_parts

    box = judge(Box(tree(readings), NOW), *dead_gpu_findings())
    for part in all_parts(box):
        try:
            assert rma.build(box, part.id, None, reading(MEMBERS)).files
        except UsageProblem as error:
            assert error.code == "ambiguous-part"  # noqa: PT017 - the other errors are failures
