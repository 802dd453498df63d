"""The entry of bilbs.pyz: unpacks what this Python needs once, into a folder of this user, and runs from there.

The archive holds `common` and a part for each Python and machine (tar, xz). Where no folder can be written, a temporary one
is used and removed; the pager number needs neither.
"""

import os
import sys

DIGEST = "@DIGEST@"
PAGER = ["support", "pager"]
OLDEST, NEWEST = (3, 11), (3, 14)


def folders():
    """Yield the folders in which it may be unpacked, the best first."""
    if os.environ.get("BILBS_PYZ_CACHE"):
        yield os.environ["BILBS_PYZ_CACHE"]
    elif os.geteuid() == 0:
        yield "/var/cache/bilbs"
    elif os.environ.get("XDG_CACHE_HOME", "").startswith("/"):
        yield os.environ["XDG_CACHE_HOME"] + "/bilbs"
    elif os.environ.get("HOME", "").startswith("/"):
        yield os.environ["HOME"] + "/.cache/bilbs"


def is_ours(path):
    """Say whether a folder is this user's, and nobody else can write in it."""
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return (info.st_mode & 0o170022) == 0o040000 and info.st_uid == os.geteuid()


def part():
    """Return the name of the part for this Python and machine."""
    return "cp%d%d-%s" % (*sys.version_info[:2], os.uname().machine)


def abi3():
    """Return the name of the part for any Python on this machine."""
    return "abi3-" + os.uname().machine


def unpacked():
    """Return the folder with what this Python needs, unpacking it where it is not there yet; None where there is no room."""
    name = "%s-%s" % (DIGEST, part())
    for folder in folders():
        path = os.path.join(folder, name)
        if is_ours(path):
            return path
    for folder in folders():
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if not is_ours(folder):
                continue
            made = unpack(folder)
        except OSError:
            continue
        path = os.path.join(folder, name)
        try:
            os.rename(made, path)
        except OSError:  # another run was faster: its folder is as good
            import shutil

            shutil.rmtree(made, ignore_errors=True)
        if is_ours(path):
            return path
    return None


def unpack(folder):
    """Unpack into a new folder below one; raise OSError, and leave nothing behind, where it does not fit."""
    import io
    import shutil
    import tarfile
    import tempfile
    import zipfile

    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian 12 does not have it
    made = tempfile.mkdtemp(prefix=".bilbs-", dir=folder)
    try:
        with zipfile.ZipFile(sys.path[0]) as archive:
            for name in (part(), abi3(), "common"):
                data = io.BytesIO(archive.read("parts/%s.tar.xz" % name))
                with tarfile.open(fileobj=data, mode="r:xz") as tar:
                    tar.extractall(made, **safe)  # made by us, covered by SHA256SUMS
        os.sync()
    except BaseException as error:
        shutil.rmtree(made, ignore_errors=True)
        if isinstance(error, KeyError):
            sys.stderr.write(
                "bilbs: this archive has no part for Python %d.%d on %s [no-such-part]\n"
                % (*sys.version_info[:2], os.uname().machine)
            )
            sys.exit(1)
        raise
    return made


def main():
    """Run bilbs."""
    if sys.version_info < OLDEST:
        sys.stderr.write("bilbs: needs Python 3.11 or newer, this is %d.%d [old-python]\n" % sys.version_info[:2])
        return 1
    where = unpacked() if sys.version_info[:2] <= NEWEST else None
    temporary = None
    if where is None:
        if sys.argv[1:3] == PAGER:
            sys.path.insert(0, os.path.join(sys.path[0], "pager"))  # the number, from the archive itself
            from bilbs_cli.__main__ import main as run

            return run()
        import atexit
        import shutil

        for folder in ("/dev/shm", os.environ.get("TMPDIR", "/tmp"), "/var/tmp"):
            try:
                where = temporary = unpack(folder)
                break
            except OSError:
                continue
        if temporary is None:
            sys.stderr.write(
                "bilbs: no folder has room to unpack bilbs.pyz (200 MB) [no-room]\n  next: BILBS_PYZ_CACHE=DIR names another one\n"
            )
            return 73
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    sys.path[:1] = [os.path.join(where, name) for name in (part(), abi3(), "common")]
    sys.argv[0] = "bilbs"
    from bilbs_cli.__main__ import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
