# Shared by the shell tools: messages, paths, the build. Source it: . "$(dirname "$0")/lib.sh"
set -euo pipefail
DMSC_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export DMSC_ROOT

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
note() { printf '    %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

need_root() {
  [ "$(id -u)" -eq 0 ] || die "$1 needs root (it ${2:-makes network namespaces}): run it with sudo"
}

# Packages of the groups given (build, run, test), one a line.
packages_of() {
  awk -v want=" $* " '!/^#/ && NF { for (i = 2; i <= NF; i++) if (index(want, " " $i " ")) { print $1; next } }' \
    "$DMSC_ROOT/tools/packages.txt"
}

# Of the packages given, those that are not installed.
missing_packages() {
  comm -23 <(printf '%s\n' "$@" | sort -u) \
    <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | awk '$2 == "installed" {print $1}' | sort -u)
}

# build_preset PRESET [target...]: configure when needed, then build with the progress visible.
build_preset() {
  local preset=$1 dir=$DMSC_ROOT/build/$1 log
  shift
  if [ ! -f "$dir/build.ninja" ]; then
    mkdir -p "$dir"
    log=$dir/configure.log
    (cd "$DMSC_ROOT" && cmake --preset "$preset") >"$log" 2>&1 || { tail -40 "$log" >&2; die "configuring preset $preset failed, see $log"; }
  fi
  NINJA_STATUS=${NINJA_STATUS:-'[%f/%t %es] '} ninja -C "$dir" -j "${JOBS:-$(nproc)}" "$@"
}
