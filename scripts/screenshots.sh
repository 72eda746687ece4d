#!/usr/bin/env bash
# Makes the pictures of the README again, in docs/screenshots: the real program in headless Chromium, with some customers and calls.
# Installs what it needs (Debian packages, only those that are missing). Needs Rust and a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
# needs PACKAGE COMMAND...: PACKAGE is to be installed when COMMAND fails.
needs() {
    local package=$1
    shift
    if ! "$@" >/dev/null 2>&1; then missing+=("$package"); fi
}
needs chromium chromium --version
needs chromium-driver chromedriver --version
needs fonts-noto-cjk compgen -G '/usr/share/fonts/opentype/noto/NotoSansCJK-*'
needs pngquant pngquant --version
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}" >&2
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

mkdir -p docs/screenshots
XIAOYI_SCREENSHOTS="$PWD/docs/screenshots" cargo test --locked -p server --test it -- --ignored browser::pictures
pngquant --force --ext .png --speed 1 --quality 70-95 --skip-if-larger --strip docs/screenshots/*.png
ls -l docs/screenshots
