#!/bin/bash
# Installs edge-pose as a service, or upgrades it; asks nothing, and may be run again at any time.
#
#   sudo systemd/install.sh [WHEEL]
#
# Without WHEEL it installs the repository that it stands in. On an upgrade everything in /etc/edge-pose is kept, and the
# old version runs until the new one is complete. For a machine without internet EDGE_POSE_MODEL_MIRROR names a folder or
# an address that has the model files; it is remembered in /etc/edge-pose/environment.
set -Eeuo pipefail
umask 022

readonly HOME_DIR=/opt/edge-pose CONFIG_DIR=/etc/edge-pose CACHE_DIR=/var/cache/edge-pose STATE_DIR=/var/lib/edge-pose
readonly NAME=edge-pose
readonly USAGE=64 NO_INPUT=66 UNAVAILABLE=69 SOFTWARE=70
readonly NEEDED_MB=400 # of one version: 240 on disk, and what pip unpacks meanwhile

fail() {
    printf 'install.sh: %s\n' "$1" >&2
    exit "${2:-$UNAVAILABLE}"
}

# A script that bash reads from its standard input stands nowhere.
[ -n "${BASH_SOURCE[0]:-}" ] || fail "needs the repository that it stands in: run it there, sudo systemd/install.sh" $NO_INPUT
script=$(realpath "${BASH_SOURCE[0]}")
readonly script
readonly here=${script%/*}
readonly project=${here%/*}
log=$(mktemp)
new=
trap clean_up EXIT

# Leaves nothing behind but, after a failure, the log that the last line names.
clean_up() {
    local code=$?
    [ -z "$new" ] || rm -rf "$new"
    if [ $code -eq 0 ] || [ ! -s "$log" ]; then rm -f "$log"; fi
}

# unexpected LINE COMMAND: the last word of a script that bash would end without one. In a subshell the shell above says it.
unexpected() {
    local code=$?
    [ "$BASH_SUBSHELL" -eq 0 ] || exit $code
    fail "line $1 failed with code $code, which is a bug of this script: $2; it may be run again" $SOFTWARE
}

say() { printf '%s\n' "$1"; }

# quietly WHAT COMMAND...: runs it; on failure the last error that it wrote is the reason.
quietly() {
    local what=$1
    shift
    "$@" >"$log" 2>&1 || fail "$what failed: $(reason) (all of it: $log)"
}

reason() {
    local errors
    errors=$(grep -E '^[[:space:]]*(ERROR|E|Error):' "$log" || cat "$log")
    sed 's/^[[:space:]]*//; /^$/d' <<<"$errors" | tail -n 1
}

# As the service is started: with its variables, such as a proxy or npm's registry, and its home, where npm looks for .npmrc.
as_service() {
    local variables
    mapfile -d '' -t variables < <(service_variables $CONFIG_DIR/environment)
    runuser -u $NAME -- env -C / HOME=$STATE_DIR ${variables[@]+"${variables[@]}"} CACHE_DIRECTORY=$CACHE_DIR \
        ${mirror:+"EDGE_POSE_MODEL_MIRROR=$mirror"} "$@"
}

# service_variables FILE: NAME=VALUE of each line, as systemd reads an EnvironmentFile, each with a zero byte at its end.
service_variables() {
    local line name value
    [ -r "$1" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        [[ $line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)=[[:space:]]*(.*[^[:space:]])?[[:space:]]*$ ]] || continue
        name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
        [[ ! $value =~ ^\"(.*)\"$ && ! $value =~ ^\'(.*)\'$ ]] || value=${BASH_REMATCH[1]}
        printf '%s=%s\0' "$name" "$value"
    done <"$1"
}

# service_variable NAME: its value in the service's environment; nothing where it has none.
service_variable() {
    local pair value=
    while IFS= read -r -d '' pair; do
        [ "${pair%%=*}" != "$1" ] || value=${pair#*=}
    done < <(service_variables $CONFIG_DIR/environment)
    printf '%s' "$value"
}

is_installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

has_candidate() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

os_release() { sed -n "s/^$1=//p" /etc/os-release | tr -d '"'; }

is_running_systemd() { [ -d /run/systemd/system ]; }

check_machine() {
    local architecture system
    [ "$(id -u)" = 0 ] || fail "needs root: sudo $script"
    architecture=$(dpkg --print-architecture 2>/dev/null) || fail "needs Debian or Raspberry Pi OS: there is no dpkg here"
    case $architecture in
    arm64 | amd64) ;;
    armhf | armel | i386) fail "this system is 32-bit ($architecture): install the 64-bit Raspberry Pi OS" ;;
    *) fail "no TFLite runtime exists for $architecture: needs arm64 or amd64" ;;
    esac
    system=$(os_release PRETTY_NAME)
    case $(os_release VERSION_CODENAME) in
    bookworm) lock=$project/tools/locks/bookworm.txt ;;
    trixie) lock=$project/tools/locks/default.txt ;;
    *) fail "$system is not supported: needs Debian or Raspberry Pi OS, Bookworm (12) or Trixie (13)" ;;
    esac
    [ -r "$lock" ] || fail "$lock is missing: run install.sh from the whole repository" $NO_INPUT
    say "system: $system, $architecture"
}

choose_source() {
    source=${1:-$project}
    [ -e "$source" ] || fail "$source: no such wheel" $NO_INPUT
    source=$(realpath "$source")
}

# The mirror of this call, else the one remembered.
choose_mirror() {
    mirror=${EDGE_POSE_MODEL_MIRROR:-}
    [ -n "$mirror" ] || mirror=$(service_variable EDGE_POSE_MODEL_MIRROR)
    case $mirror in *://* | "") return ;; esac
    mirror=$(realpath -m "$mirror")
    case $mirror/ in
    /home/* | /root/* | /tmp/* | /var/tmp/* | /run/user/*) fail "EDGE_POSE_MODEL_MIRROR: a service cannot see $mirror: put it under /srv" ;;
    esac
    [ -d "$mirror" ] || fail "EDGE_POSE_MODEL_MIRROR: $mirror is not a folder" $NO_INPUT
}

# An upgrade has two versions for a while. Asked before anything is done.
check_disk() {
    local folder=$HOME_DIR free_mb
    [ -d $folder ] || folder=${HOME_DIR%/*}
    free_mb=$(df --output=avail -B 1M "$folder" | tail -n 1)
    [ "$free_mb" -ge $NEEDED_MB ] || fail "needs $NEEDED_MB MB in $folder, $((free_mb)) MB are free: make room there"
}

install_packages() {
    local packages=()
    is_installed python3-venv || packages+=(python3-venv)
    if [ ${#packages[@]} -gt 0 ]; then
        quietly "apt-get update" apt-get update -q
    elif [ -e /etc/rpi-issue ] && ! is_installed python3-picamera2; then
        apt-get update -q >"$log" 2>&1 || say "packages: the list of packages cannot be renewed: $(reason)"
    fi
    # Raspberry Pi's own archive has it, Debian's has not: a machine without it has USB cameras and streams.
    is_installed python3-picamera2 || ! has_candidate python3-picamera2 || packages+=(python3-picamera2)
    [ ${#packages[@]} -eq 0 ] ||
        quietly "apt-get install ${packages[*]}" \
            env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
    if is_installed python3-picamera2; then
        say "packages: python3-venv, python3-picamera2"
    else
        say "packages: python3-venv; apt has no python3-picamera2 here: no Pi camera, but USB cameras and streams"
    fi
}

make_user() {
    local group
    for group in video render plugdev; do
        getent group $group >/dev/null || quietly "groupadd $group" groupadd --system $group
    done
    getent passwd $NAME >/dev/null ||
        quietly "useradd $NAME" useradd --system --user-group --home-dir $STATE_DIR --no-create-home \
            --shell /usr/sbin/nologin $NAME
    install -d -o $NAME -g $NAME $CACHE_DIR
    say "user: $NAME"
}

make_config() {
    local state=kept
    install -d $CONFIG_DIR
    if [ ! -e $CONFIG_DIR/edge-pose.toml ]; then
        install -m 644 "$here/edge-pose.toml" $CONFIG_DIR/edge-pose.toml
        state=new
    fi
    [ -e $CONFIG_DIR/mqtt-password ] || install -m 600 /dev/null $CONFIG_DIR/mqtt-password
    say "config: $CONFIG_DIR/edge-pose.toml ($state)"
}

# The last thing before the service starts: an installation that failed has changed nothing of the one before.
remember_mirror() {
    [ -n "$mirror" ] || return 0
    { sed '/^EDGE_POSE_MODEL_MIRROR=/d' $CONFIG_DIR/environment 2>/dev/null || true
        echo "EDGE_POSE_MODEL_MIRROR=$mirror"; } >$CONFIG_DIR/environment.new
    mv $CONFIG_DIR/environment.new $CONFIG_DIR/environment
}

# A folder of its own for every version: the one that runs is not touched.
install_program() {
    say "program: installing, a minute or two ..."
    install -d $HOME_DIR
    new=$(mktemp -d $HOME_DIR/version-XXXXXX)
    chmod 755 "$new"
    quietly "making the virtual environment" /usr/bin/python3 -m venv --system-site-packages "$new"
    quietly "installing the program" "$new/bin/pip" install --no-cache-dir --disable-pip-version-check --no-input \
        --only-binary=:all: -c "$lock" "$source"
    quietly "starting the program" as_service "$new/bin/edge-pose" --version
    say "program: $(as_service "$new/bin/edge-pose" --version) in $new"
}

# fetch_model CONFIG: a model that cannot be had yet (69) is no reason to stop: in place of the default the service has the
# starter, and for any other it goes on trying.
fetch_model() {
    local config=$1 asked kind name code=0
    has_model=yes
    if ! asked=$(asked_model "$config" 2>"$log"); then
        say "model: the config has mistakes; see: edge-pose config check $config"
        return
    fi
    read -r kind name <<<"$asked"
    if [ "$kind" != here ]; then
        as_service "$new/bin/edge-pose" models fetch ${name:+"$name"} >"$log" 2>&1 || code=$?
        name=$(reason)
    fi
    case $code-$kind in
    0-*) say "model: $name" ;;
    "$UNAVAILABLE-default")
        has_model=
        say "model: starter, which comes with the program, until the service can fetch the default: $name"
        ;;
    "$UNAVAILABLE"-*)
        has_model=
        say "model: not here yet, and no other takes its place, so the service goes on trying: $name"
        ;;
    *) say "model: the service does not start until this is mended: $name" ;;
    esac
}

# asked_model CONFIG: tells whether the model is one that needs no fetching (here), the default, for which the starter may
# stand in, or any other (only); then its path or name, which the default has not.
asked_model() {
    as_service "$new/bin/python" - "$1" <<'PYTHON'
import sys
from pathlib import Path
from edge.config import load
from edge.models.manifest import load_manifest

model = load(Path(sys.argv[1])).model
bundled = [entry.name for entry in load_manifest().entries.values() if entry.bundled]
if model.file or model.name in bundled:
    print("here", model.file or model.name)
else:
    print("only" if model.name or model.delegate == "edgetpu" else "default", model.name)
PYTHON
}

switch_over() {
    ln -sfn "$new" $HOME_DIR/current.new
    mv -T $HOME_DIR/current.new $HOME_DIR/current
    ln -sfn $HOME_DIR/current/bin/edge-pose /usr/local/bin/edge-pose
    new=
    install -m 644 "$here/edge-pose.service" "$here/edge-pose@.service" /etc/systemd/system/
    install -D -m 644 "$here/70-edge-pose-coral.rules" /etc/udev/rules.d/70-edge-pose-coral.rules
    quietly "systemctl enable" systemctl enable $NAME.service
    if is_running_systemd; then
        quietly "systemctl daemon-reload" systemctl daemon-reload
        # Not in a container, where there are no devices either.
        { udevadm control --reload && udevadm trigger --subsystem-match=usb --subsystem-match=apex; } >"$log" 2>&1 || true
    fi
    say "service: installed, starts at boot"
}

start_service() {
    local block=
    is_running_systemd || return 0
    quietly "restarting the other cameras" systemctl try-restart "$NAME@*.service"
    if cmp -s "$here/edge-pose.toml" $CONFIG_DIR/edge-pose.toml; then
        say "service: not started: set camera.source and mqtt.url in $CONFIG_DIR/edge-pose.toml, then: sudo systemctl restart $NAME"
        return
    fi
    [ -n "$has_model" ] || block=--no-block
    systemctl restart $block $NAME.service >"$log" 2>&1 || fail "the service does not start: journalctl -u $NAME -n 20"
    say "service: started; see: systemctl status $NAME"
}

remove_old_versions() {
    local folder current
    current=$(realpath $HOME_DIR/current)
    for folder in "$HOME_DIR"/version-*; do
        [ "$folder" = "$current" ] || rm -rf "$folder"
    done
}

# Read by another script, it defines its functions and does nothing. Only there bash lets it return; $0 does not tell,
# which is a bare name where bash itself has looked the script up in PATH.
if (return 0 2>/dev/null); then return 0; fi

case ${1:-} in
-h | --help)
    sed -n "2,/^set /s/^# \{0,1\}//p" "$script"
    exit 0
    ;;
-*) fail "$1: unknown option (try --help)" $USAGE ;;
esac
[ $# -le 1 ] || fail "at most one WHEEL (try --help)" $USAGE

trap 'unexpected "$LINENO" "$BASH_COMMAND"' ERR
check_machine
choose_source "$@"
choose_mirror
check_disk
install_packages
make_user
install_program
config=$CONFIG_DIR/edge-pose.toml
[ -e "$config" ] || config=$here/edge-pose.toml
fetch_model "$config"
make_config
switch_over
remember_mirror
start_service
remove_old_versions
