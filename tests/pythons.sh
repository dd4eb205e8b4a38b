#!/usr/bin/env bash
# Lists the usable Pythons of this machine, the preferred one first: `VERSION PATH`, one line for a version.
# With a version (3, 3.12), prints only the path of the first that fits, and fails if there is none.
#
# Usable is a CPython from 3.11 on that makes venvs and has its C headers, as durable-rules is compiled when
# it is installed. Each is tried by running it: a pyenv shim can be on PATH and yet refuse to run.
set -euo pipefail

probe='
import ensurepip, os, sys, sysconfig, venv
usable = (
    sys.implementation.name == "cpython"
    and sys.version_info >= (3, 11)
    and not sysconfig.get_config_var("Py_GIL_DISABLED")  # durable-rules needs the lock
    and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
)
if usable:  # named by its real path, as a venv that is active now may go away
    print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable))
'

candidates() {
    type -aP python3.13 python3.12 python3.11 python3 || true # fails if one of them is missing
    printf '%s\n' \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-9]*/bin/python3 \
        "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/cpython-3.1[1-9]*/bin/python3
}

list() {
    candidates | while read -r candidate; do
        "$candidate" -I -c "$probe" < /dev/null 2> /dev/null || true
    done | awk '!seen[$1]++'
}

if [ $# -eq 0 ]; then
    list
else
    path=$(list | awk -v wanted="$1." 'index($1 ".", wanted) == 1 && !found++ { sub(/^[^ ]+ /, ""); print }')
    if [ -z "$path" ]; then
        echo "No usable Python $1: 3.11 or newer with venv and C headers (Debian: python3-venv, python3-dev)" >&2
        exit 1
    fi
    echo "$path"
fi
