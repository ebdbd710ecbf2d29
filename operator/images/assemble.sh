#!/bin/sh
# What the Containerfile does with Python, to be run from the root of the tree.
#
#   assemble.sh wheels PYTHON FOLDER [PLUGIN...]           build wheels of the core, the operator and the plugins
#   assemble.sh install PYTHON FOLDER TARGET [PLUGIN...]   install those of them that an image needs
#
# A plugin is its folder below plugins/, with extras where it has some: runtimes/sklearn, "runtimes/xgboost[cpu]".
set -euf

fail() {
  echo "assemble.sh: $1" >&2
  exit 1
}

# The folder of a plugin, without its extras.
folder_of() { echo "${1%%\[*}"; }

# The one file with a name that begins so. Wheels are installed by their file, so that no index has a say in which.
wheel_of() {
  found=$(find "$1" -name "$2-[0-9]*.whl")
  [ -f "$found" ] || fail "there is not one wheel of $2 in $1"
  echo "$found"
}

build_wheels() {
  python=$1 folder=$2
  shift 2
  rooms="core operator"
  for plugin in "$@"; do
    room=plugins/$(folder_of "$plugin")
    [ -f "$room/pyproject.toml" ] || fail "there is no plugin $plugin: see the folders of plugins/"
    rooms="$rooms $room"
  done
  for room in $rooms; do
    "$python" -m pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --wheel-dir "$folder" "./$room"
  done
}

install_wheels() {
  python=$1 folder=$2 target=$3
  shift 3
  core=$(wheel_of "$folder" fairlead)
  case $target in
    server) kinds="runtimes explainers" wanted="$core[tracing]" ;;
    storage-initializer) kinds="storage" wanted="$core[zstd]" ;;
    operator) kinds="autoscalers storage" wanted="$core $(wheel_of "$folder" fairlead_operator)" ;;
    *) fail "$target is no image: server, storage-initializer, operator" ;;
  esac
  for plugin in "$@"; do
    room=$(folder_of "$plugin")
    kind=${room%%/*} name=${room#*/} extras=${plugin#"$room"}
    case " $kinds " in
      *" $kind "*) wanted="$wanted $(wheel_of "$folder" "fairlead_${kind%s}_$name")$extras" ;;
    esac
  done
  # The paths have no spaces, and -f keeps extras from being taken for patterns.
  # shellcheck disable=SC2086
  "$python" -m pip install --quiet --no-cache-dir --no-compile --constraint constraints.txt $wanted
}

command=${1:-}
[ $# -ge 3 ] || fail "say wheels or install, a Python, and a folder for wheels"
shift
case $command in
  wheels) build_wheels "$@" ;;
  install) install_wheels "$@" ;;
  *) fail "$command is neither wheels nor install" ;;
esac
