#!/bin/sh
# Install what the tests need (apt and pip, by name) and run every check. CI runs exactly this.
# BILBS_CHECK_FAST=1 leaves the installation out, for a second run on the same machine.
set -eu
cd "$(dirname "$0")/.."
. tools/python.sh
unset PYTHONDONTWRITEBYTECODE  # hundreds of tests start the program: it is compiled once, not at each start
if [ -z "${BILBS_CHECK_FAST:-}" ]; then
    # a compiler for the NVML stub, the BMC simulator and its independent readers, archive tools as oracles, a browser
    # (and fonts for it) for the report, Node for the mock server that knows only the contract
    missing=$(for pair in cc:gcc ipmi_sim:openipmi ipmitool:ipmitool ipmi-sel:freeipmi-tools zstd:zstd age:age lspci:pciutils \
                          strace:strace mkfs.ext4:e2fsprogs fsfreeze:util-linux mount:mount ip:iproute2 ps:procps tar:tar \
                          xz:xz-utils bzip2:bzip2 git:git journalctl:systemd chromium:chromium \
                          node:nodejs npm:npm zsh:zsh fish:fish groff:groff-base dpkg-deb:dpkg debootstrap:debootstrap lintian:lintian; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || [ -x "/usr/sbin/${pair%%:*}" ] || [ -x "/sbin/${pair%%:*}" ] || echo "${pair##*:}"; done)
    [ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
    [ -d /usr/share/fonts/truetype/dejavu ] || missing="$missing fonts-dejavu-core"
    [ -e /usr/include/linux/ipmi.h ] || missing="$missing linux-libc-dev"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || apt_install $missing
    make_venv
    .venv/bin/pip install -q --disable-pip-version-check -r requirements-dev.lock >&2
    .venv/bin/pip install -q --disable-pip-version-check --no-deps -e . >&2
    # Node brings its own list of authorities; the system's, as pip and curl have them, is behind a company's proxy the right one
    system=/etc/ssl/certs/ca-certificates.crt
    [ -x .venv/prism/node_modules/.bin/prism ] ||
        NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$([ ! -e "$system" ] || echo "$system")}" npm install --prefix .venv/prism --no-audit --no-fund --loglevel=error @stoplight/prism-cli@5.14.2 >&2
fi
PATH="$PWD/.venv/bin:$PATH:/usr/sbin:/sbin"
export PATH
ruff check .
ruff format --check .
# types are checked beside the tests; four workers on two cores: many tests wait for a deadline or a peer, and the long
# files come first (tests/conftest.py)
found=$(mktemp)
mypy >"$found" 2>&1 &
types=$!
failed=0
pytest -n 4 --dist loadfile --no-loadscope-reorder --durations=20 "$@" || failed=$?
wait "$types" || failed=$?
cat "$found"
rm -f "$found"
exit "$failed"
