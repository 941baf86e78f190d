#!/usr/bin/env bash
# Install what the program needs from Debian's or Ubuntu's packages, where it is missing.
# Usage: install_system_packages.sh PYTHON
set -euo pipefail

python=${1:?the Python interpreter to use}

packages=(
    git xauth xvfb fonts-dejavu-core
    libegl1 libgl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
    libxcb-keysyms1 libxcb-render-util0 libxcb-xinerama0 libdbus-1-3 libfontconfig1 libglib2.0-0
)

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is missing or older than 3.11; name another one: make PYTHON=python3.12 ..." >&2
    exit 1
fi
# Debian parts venv from Python; other builds of Python bring it along.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=("$("$python" -c 'import sys; print("python{}.{}-venv".format(*sys.version_info))')")
fi

if ! command -v dpkg-query >/dev/null; then
    echo "Not Debian or Ubuntu: the libraries of Qt and OpenGL, git and Xvfb must be there already." >&2
    exit 0
fi

# Names of packages change (libglib2.0-0t64 provides libglib2.0-0): count what is provided, too.
installed=$(dpkg-query --show \
    --showformat '${db:Status-Status} ${Package}, ${Provides}\n' 2>/dev/null |
    sed -n 's/^installed //p' | tr ',' '\n' | sed 's/^ *//; s/[ :].*//' | sort -u)
missing=()
for package in "${packages[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    {
        echo "System packages are missing, and installing them needs root. Run this, then try again:"
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    } >&2
    exit 1
fi

echo "==== System packages: ${missing[*]} ===="
"${as_root[@]}" apt-get update -q
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
