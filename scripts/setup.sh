#!/bin/sh
# Sets up .venv from pinned and hashed requirements. Run by make; works as root on a bare Debian with Python 3.11.
set -eu

python=${PYTHON:-python3}

# Debian keeps venv in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "python3-venv is missing; installing it" >&2
    apt-get update -qq
    apt-get install -y -qq python3-venv
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/pip install --quiet --disable-pip-version-check "uv>=0.13,<0.14"

# Where this machine's pip was given certificates of its own, uv needs them too.
certificates=$(.venv/bin/pip config get global.cert 2>/dev/null || true)
[ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"

install() {
    .venv/bin/uv pip install --quiet --python .venv/bin/python "$@"
}
install --require-hashes -r requirements/dev.txt
install --require-hashes --no-deps -r requirements/samples.txt
install --no-deps --no-build-isolation -e .
