#!/bin/bash
# Removes edge-pose: program, service, user and models.
#
#   sudo systemd/uninstall.sh [--purge]
#
# What was recorded (/var/lib/edge-pose) and configured (/etc/edge-pose and drop-ins of the units) stays, unless --purge is
# given. May be run again.
set -Eeuo pipefail

readonly UNITS=/etc/systemd/system STATE_DIR=/var/lib/edge-pose
readonly USAGE=64 UNAVAILABLE=69 SOFTWARE=70

fail() {
    printf 'uninstall.sh: %s\n' "$1" >&2
    exit "$2"
}

# unexpected LINE COMMAND: the last word of a script that bash would end without one. In a subshell the shell above says it.
unexpected() {
    local code=$?
    [ "$BASH_SUBSHELL" -eq 0 ] || exit $code
    fail "line $1 failed with code $code, which is a bug of this script: $2; it may be run again" $SOFTWARE
}

stop_services() {
    local link instances=()
    for link in "$UNITS"/*.wants/edge-pose@?*.service; do
        [ ! -L "$link" ] || instances+=("${link##*/}")
    done
    [ -e $UNITS/edge-pose.service ] || { echo "service: not installed"; return; }
    systemctl disable --quiet edge-pose.service "${instances[@]}"
    [ ! -d /run/systemd/system ] || systemctl stop edge-pose.service 'edge-pose@*.service' 2>/dev/null || true
    echo "service: stopped"
}

remove_files() {
    rm -f $UNITS/edge-pose.service $UNITS/edge-pose@.service /etc/udev/rules.d/70-edge-pose-coral.rules
    [ "$(readlink /usr/local/bin/edge-pose || true)" != /opt/edge-pose/current/bin/edge-pose ] || rm -f /usr/local/bin/edge-pose
    rm -rf /opt/edge-pose /var/cache/edge-pose
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl reset-failed 'edge-pose*.service' 2>/dev/null || true
        udevadm control --reload 2>/dev/null || true
    fi
    echo "program and models: removed"
}

# What cannot be had again is kept, for root: the user that it belongs to goes.
keep_recordings() {
    [ -d $STATE_DIR ] || return 0
    rm -rf $STATE_DIR/.cache $STATE_DIR/.npm
    find $STATE_DIR -depth -type d -empty -delete
    [ -d $STATE_DIR ] || return 0
    chown -R root:root $STATE_DIR
    echo "recordings: kept in $STATE_DIR ($(du -sh $STATE_DIR | cut -f 1)); to delete them: sudo rm -r $STATE_DIR"
}

remove_user() {
    ! getent passwd edge-pose >/dev/null || userdel edge-pose
    ! getent group edge-pose >/dev/null || groupdel edge-pose
    echo "user: removed"
}

remove_config() {
    rm -rf $STATE_DIR /etc/edge-pose $UNITS/edge-pose.service.d $UNITS/edge-pose@*.service.d
    echo "recordings and config: removed"
}

purge=
case ${1:-} in
-h | --help)
    sed -n "2,/^set /s/^# \{0,1\}//p" "${BASH_SOURCE[0]}"
    exit 0
    ;;
--purge) purge=yes ;;
"") ;;
*) fail "$1: unknown option (try --help)" $USAGE ;;
esac
[ "$(id -u)" = 0 ] || fail "needs root: sudo $0" $UNAVAILABLE

trap 'unexpected "$LINENO" "$BASH_COMMAND"' ERR
stop_services
remove_files
if [ -n "$purge" ]; then
    remove_config
else
    keep_recordings
    echo "config: kept in /etc/edge-pose"
fi
remove_user
