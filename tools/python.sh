# Sourced by the scripts beside it: finds Python >= 3.11 and makes a virtual environment in .venv.
# On a bare Debian or Ubuntu machine the missing packages are installed with apt (root, or sudo).

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else say "bilbs: this needs root: $*"; exit 77; fi
}

# Run a command whose output matters only when it fails.
quietly() {
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then rm -f "$log"; else cat "$log" >&2; rm -f "$log"; exit 1; fi
}

apt_install() {
    command -v apt-get >/dev/null 2>&1 || { say "bilbs: please install by hand (no apt here): $*"; exit 1; }
    say "installing: $*"
    quietly as_root apt-get update
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

good_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return 0; }
    done
    return 1
}

make_venv() {
    [ -x .venv/bin/pip ] && .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return 0
    PYTHON=$(good_python) || { apt_install python3 python3-venv ca-certificates; PYTHON=$(good_python); } || {
        say "bilbs needs Python 3.11 or newer (Debian 12, Ubuntu 24.04 have it); found: $(python3 --version 2>&1)"; exit 1; }
    "$PYTHON" -m venv --clear .venv
}
