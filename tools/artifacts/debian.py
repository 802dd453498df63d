"""The Debian package: libraries below /opt/bilbs, programs, units, manual, completion, documents."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from artifacts.running import ROOT, run

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}


def make(target: Path, tree: Path, machine: str, version: str, when: int, level: int) -> Path:
    """Write the Debian package of a machine and return it. Needs dpkg-deb(1)."""
    import manual_pages

    from bilbs_cli import command_tree, completion_scripts, main

    root = target / f".deb-{machine}"
    shutil.copytree(tree, root / "opt/bilbs/lib", symlinks=True)
    day = f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d}"
    _put(root / "usr/bin/bilbs", (ROOT / "packaging/bin/bilbs").read_bytes(), 0o755)
    _put(root / "usr/bin/diag", (ROOT / "packaging/bin/diag").read_bytes(), 0o755)
    _put(root / "etc/bilbs/config.toml", (ROOT / "packaging/config.toml").read_bytes())
    for source, manager in (("systemd", "system"), ("systemd-user", "user")):
        for unit in sorted((ROOT / "packaging" / source).iterdir()):
            _put(root / "usr/lib/systemd" / manager / unit.name, unit.read_bytes())
    commands = command_tree.read(main.app)
    _put(root / "usr/share/bash-completion/completions/bilbs", completion_scripts.bash(commands).encode())
    (root / "usr/share/bash-completion/completions/diag").symlink_to("bilbs")
    _put(root / "usr/share/zsh/vendor-completions/_bilbs", completion_scripts.zsh(commands).encode())
    _put(root / "usr/share/fish/vendor_completions.d/bilbs.fish", completion_scripts.fish(commands).encode())
    for name, text in manual_pages.pages(day):
        _put(root / f"usr/share/man/man{name[-1]}/{name}.gz", _gz(text.encode()))
    doc = root / "usr/share/doc/bilbs"
    _put(doc / "copyright", (ROOT / "packaging/debian/copyright").read_bytes())
    _put(doc / "changelog.gz", _gz(_changes(version, when).encode()))
    for page in sorted((ROOT / "docs").glob("*.md")):
        _put(doc / page.name, page.read_bytes())
    _put(doc / "examples/sudoers", (ROOT / "packaging/sudoers").read_bytes())
    _put(doc / "examples/cron", (ROOT / "packaging/cron").read_bytes())
    _put(root / "usr/share/lintian/overrides/bilbs", (ROOT / "packaging/debian/lintian-overrides").read_bytes())
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    for script in ("postinst", "prerm", "postrm"):
        _put(root / "DEBIAN" / script, (ROOT / f"packaging/debian/{script}").read_bytes(), 0o755)
    control = (ROOT / "packaging/debian/control").read_text()
    for name, value in (("VERSION", version), ("ARCH", ARCHITECTURE[machine]), ("SIZE", str(size))):
        control = control.replace(f"@{name}@", value)
    _put(root / "DEBIAN/control", control.encode())
    _put(root / "DEBIAN/conffiles", b"/etc/bilbs/config.toml\n")
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in _regular(root)]  # noqa: S324 - dpkg's form
    _put(root / "DEBIAN/md5sums", "".join(sums).encode())
    for path in [root, *root.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (when, when), follow_symlinks=False)
    package = target / f"bilbs_{version}_{ARCHITECTURE[machine]}.deb"
    run(
        "dpkg-deb",
        "--root-owner-group",
        "-Zxz",
        f"-z{level}",
        "--build",
        str(root),
        str(package),
        env={**os.environ, "SOURCE_DATE_EPOCH": str(when)},
    )
    shutil.rmtree(root)
    return package


def _changes(version: str, when: int) -> str:
    """Return the newest part of CHANGELOG.md in Debian's form (deb-changelog(5))."""
    from email.utils import formatdate

    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    items = [f"  * {line[2:]}" for line in newest.splitlines() if line.startswith("- ")]
    by = "Groupe Bilbs Support <support@groupebilbs.com>"
    return f"bilbs ({version}) stable; urgency=medium\n\n" + "\n".join(items) + f"\n\n -- {by}  {formatdate(when)}\n"


def _regular(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and "DEBIAN" not in path.parts
            and "etc" not in path.relative_to(root).parts[:1]
        ):
            yield path


def _put(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def _gz(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)
