#!/bin/sh
# Sets up .venv from pinned and hashed requirements. Run by make; works as root on a bare Debian with Python 3.11.
set -eu

python=${PYTHON:-python3}

# Debian keeps venv in a package of its own; the examples of the documents, which are tests, are told to curl; what is
# packaged is played in a browser; and units are checked by systemd's own reader, which a container is without.
missing=
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="python3-venv"
command -v curl >/dev/null || missing="$missing curl"
command -v systemd-analyze >/dev/null || missing="$missing systemd"
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
if [ -n "$missing" ]; then
    echo "installing $missing" >&2
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/pip install --quiet --disable-pip-version-check "uv>=0.13,<0.14"

# Where this machine's pip was given certificates of its own, uv and npm need them too.
certificates=$(.venv/bin/pip config get global.cert 2>/dev/null || true)
[ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}" \
    NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$certificates}"

install() {
    .venv/bin/uv pip install --quiet --python .venv/bin/python "$@"
}
# Compiled here, as pip would, so that no first start has to.
install --compile-bytecode --require-hashes -r requirements/dev.txt
install --require-hashes --no-deps -r requirements/samples.txt
# Building it fetches the page's modules, by the npm that the requirements brought.
install --no-deps --no-build-isolation -e .

# JavaScript packages, by the Node that the requirements brought: other SDKs, players, and what checks pages. No scripts are run.
for folder in examples/node tests/players tests/web; do
    PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm ci --prefix "$folder" --silent --ignore-scripts --omit=optional --legacy-peer-deps --no-audit --no-fund
done
