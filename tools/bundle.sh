#!/bin/sh
# Install bilbs into .venv of this clone, collect a bundle of this machine, attach it to a ticket of the sandbox (nobody
# is told), print its path. With arguments only `bilbs diag collect ARGUMENTS`.
set -eu
cd "$(dirname "$0")/.."
. tools/python.sh
make_venv
.venv/bin/pip install -q --disable-pip-version-check '.[sandbox]' >&2
[ $# -eq 0 ] || exec .venv/bin/bilbs diag collect "$@"
status=0
bundle=$(.venv/bin/bilbs diag collect) || status=$?  # 20: something could not be read, and the bundle is there
[ -f "$bundle" ] || exit "$status"
.venv/bin/bilbs --sandbox support ticket open --severity sev3 --diag "$bundle" -m "A drill: the first bundle of this box" >&2
.venv/bin/bilbs --sandbox support ticket list >&2
echo "$bundle"
exit "$status"
