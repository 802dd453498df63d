"""What customers install: the artifacts, the same bytes each time, the executable zip, units, manual pages."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import time
from pathlib import Path

import pytest

from bilbs_cli import __version__
from tests.packages.conftest import ROOT, build

pytestmark = pytest.mark.timeout(900)
PYTHON = "/usr/bin/python3"  # the system's, as a customer has it
DEB = f"bilbs_{__version__}_amd64.deb"


def test_two_builds_give_the_same_bytes(wheels: Path, dist: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "again", wheels)
    assert (again / "SHA256SUMS").read_text() == (dist / "SHA256SUMS").read_text()


def test_the_sums_are_those_of_all_artifacts(dist: Path) -> None:
    for line in (dist / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    names = {line.split("  ")[1] for line in (dist / "SHA256SUMS").read_text().splitlines()}
    wheel, sdist = f"bilbs_cli-{__version__}-py3-none-any.whl", f"bilbs_cli-{__version__}.tar.gz"
    assert names == {wheel, sdist, "bilbs.pyz", DEB, f"bilbs-{__version__}.cdx.json"}


def test_the_sbom_names_every_library_with_version_licence_and_hash(dist: Path, wheels: Path) -> None:
    bom = json.loads((dist / f"bilbs-{__version__}.cdx.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    found = {(one["name"], one["version"]) for one in bom["components"]}
    lines = [
        line.split(" ; ")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "win32" not in line
    ]
    assert found == {tuple(line.split("==")) for line in lines}
    assert all(one["licenses"] and one["hashes"] and one["purl"] for one in bom["components"])
    sums = {one["bom-ref"]: one["hashes"][0]["content"] for one in bom["components"]}
    for name, digest in sums.items():
        assert hashlib.sha256((wheels / name).read_bytes()).hexdigest() == digest


def test_lintian_finds_no_error(dist: Path) -> None:
    done = subprocess.run(
        ["lintian", "--fail-on", "error", str(dist / DEB)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_package_is_small_enough(dist: Path) -> None:
    assert (dist / DEB).stat().st_size <= 40e6  # with half of the Pythons, and hardly packed; make dist says the whole


# --- the executable zip ----------------------------------------------------------------------------------------------


def pyz(dist: Path, *arguments: str, home: Path | None, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", **({"HOME": str(home)} if home else {}), **more}
    argv = ["unshare", "--net", PYTHON, str(dist / "bilbs.pyz"), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=env, check=False, timeout=120)


def unpacked(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "cache/bilbs").glob("*"))


def test_the_zip_runs_with_the_systems_python_alone(dist: Path, tmp_path: Path) -> None:
    more = {"BILBS_PYZ_CACHE": str(tmp_path / "cache/bilbs"), "BILBS_STATE_DIR": str(tmp_path / "state")}
    for _ in range(2):
        done = pyz(dist, "--version", home=tmp_path, **more)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"bilbs {__version__}\n", "")
        assert len(unpacked(tmp_path)) == 1
    assert stat.S_IMODE((tmp_path / "cache/bilbs").stat().st_mode) == 0o700
    done = pyz(dist, "diag", "collect", "--profile", "triage", "-o", str(tmp_path), home=tmp_path, **more)
    assert done.returncode in {0, 20}, done.stderr
    assert list(tmp_path.glob("bilbs-diag-*.tar.zst"))
    drill = pyz(dist, "--sandbox", "support", "ticket", "open", "-s", "sev1", "-m", "a drill", home=tmp_path, **more)
    assert drill.returncode == 0, drill.stderr
    doctor = pyz(dist, "doctor", "--json", home=tmp_path, **more)  # it starts processes of its own
    assert json.loads(doctor.stdout)["data"]


def test_the_zip_without_a_folder_to_write_in_still_runs_and_leaves_nothing(dist: Path, tmp_path: Path) -> None:
    before = set(Path("/dev/shm").glob(".bilbs-*"))
    done = pyz(dist, "--version", home=None, BILBS_PYZ_CACHE="/proc/nowhere")
    assert (done.returncode, done.stdout) == (0, f"bilbs {__version__}\n")
    assert set(Path("/dev/shm").glob(".bilbs-*")) == before
    pager = pyz(dist, "support", "pager", home=None, BILBS_PYZ_CACHE="/proc/nowhere")
    assert "no pager number is known to this box" in pager.stdout + pager.stderr
    card = tmp_path / ".config/bilbs/card.toml"
    card.parent.mkdir(parents=True)
    card.write_text('pager = "+12015550123"\n')
    known = pyz(dist, "support", "pager", home=tmp_path, BILBS_PYZ_CACHE="/proc/nowhere")
    assert (known.returncode, known.stdout) == (0, "+12015550123\n")


def test_a_folder_that_others_can_write_is_not_run_from(dist: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache/bilbs"
    more = {"BILBS_PYZ_CACHE": str(cache)}
    pyz(dist, "--version", home=tmp_path, **more)
    folder = next(cache.iterdir())
    folder.chmod(0o777)
    evil = folder / "common/bilbs_cli/__main__.py"
    evil.write_text("raise SystemExit('evil')")
    done = pyz(dist, "--version", home=tmp_path, **more)
    assert "evil" not in done.stdout + done.stderr


def test_the_pager_from_the_zip_is_quick_after_the_first_run(dist: Path, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "BILBS_PYZ_CACHE": str(tmp_path / "cache/bilbs")}

    def seconds(*argv: str) -> float:
        start = time.perf_counter()
        subprocess.run([PYTHON, *argv], capture_output=True, env=env, check=False)
        return time.perf_counter() - start

    pager = (str(dist / "bilbs.pyz"), "support", "pager")
    seconds(*pager)
    seconds(*pager)
    pairs = [(seconds(*pager), seconds("-c", "pass")) for _ in range(15)]
    least = [min(one) for one in zip(*pairs, strict=True)]  # the machine is not this test's alone
    assert least[0] / least[1] <= 3
