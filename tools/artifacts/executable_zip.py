"""bilbs.pyz: one file that runs with the system's Python alone (its entry is packaging/pyz/__main__.py)."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

from artifacts.running import ROOT
from artifacts.wheels import COMMON

PAGER_MODULES = (
    "__init__",
    "__main__",
    "escape",
    "errors",
    "folders",
    "paths",
    "support/__init__",
    "support/card_file",
    "support/pager",
)


def tar_of(folder: Path, prefix: str, when: int, level: int) -> bytes:
    """Return a folder as a tar, xz-compressed, the same bytes each time."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz", preset=level, format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(
            Path(at, name) for at, below, files in os.walk(folder, followlinks=True) for name in (*below, *files)
        ):
            info = tar.gettarinfo(str(path.resolve()), arcname=f"{prefix}/{path.relative_to(folder)}")
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = when
            info.mode = 0o755 if path.is_dir() or info.mode & 0o111 else 0o644
            with path.open("rb") if info.isreg() else io.BytesIO() as stream:
                tar.addfile(info, stream if info.isreg() else None)
    return data.getvalue()


def make(target: Path, trees: dict[str, Path], when: int, level: int) -> None:
    """Write bilbs.pyz: its entry, the pager on its own, and what each Python and machine needs."""
    machines = sorted(trees)
    parts = {COMMON: tar_of(trees[machines[0]] / COMMON, COMMON, when, level)}
    for machine in machines:
        for folder in sorted(trees[machine].iterdir()):
            if folder.name != COMMON:
                parts[f"{folder.name}-{machine}"] = tar_of(folder, f"{folder.name}-{machine}", when, level)
    digest = hashlib.sha256(b"".join(parts[name] for name in sorted(parts))).hexdigest()[:20]
    entry = (ROOT / "packaging/pyz/__main__.py").read_text().replace("@DIGEST@", digest)
    members = {"__main__.py": entry.encode()}
    members |= {
        f"pager/bilbs_cli/{name}.py": (ROOT / f"src/bilbs_cli/{name}.py").read_bytes() for name in PAGER_MODULES
    }
    members |= {f"parts/{name}.tar.xz": data for name, data in parts.items()}
    stamp = time.gmtime(when)[:6]
    with target.open("wb") as out:
        out.write(b"#!/usr/bin/env -S python3 -s\n")
        with zipfile.ZipFile(out, "w") as archive:
            for name in sorted(members):
                info = zipfile.ZipInfo(name, stamp)
                info.external_attr = 0o644 << 16
                archive.writestr(info, members[name])
    target.chmod(0o755)
