#!/bin/sh
# Install bilbs into .venv of this clone and collect a bundle of this machine. Arguments go to `bilbs diag collect`.
set -eu
cd "$(dirname "$0")/.."
. tools/python.sh
make_venv
.venv/bin/pip install -q --disable-pip-version-check . >&2
exec .venv/bin/bilbs diag collect "$@"
