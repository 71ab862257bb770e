#!/bin/bash
# Removes edge-pose: program, service, user, models, and what it recorded in /var/lib/edge-pose.
#
#   sudo systemd/uninstall.sh [--purge]
#
# What was configured stays (/etc/edge-pose and drop-ins of the units), unless --purge is given. May be run again.
set -euo pipefail

readonly UNITS=/etc/systemd/system
readonly USAGE=64 UNAVAILABLE=69

fail() {
    printf 'uninstall.sh: %s\n' "$1" >&2
    exit "$2"
}

stop_services() {
    local link instances=()
    for link in "$UNITS"/*.wants/edge-pose@?*.service; do
        [ ! -L "$link" ] || instances+=("${link##*/}")
    done
    [ ! -e $UNITS/edge-pose.service ] || systemctl disable --quiet edge-pose.service "${instances[@]}"
    [ ! -d /run/systemd/system ] || systemctl stop edge-pose.service 'edge-pose@*.service' 2>/dev/null || true
    echo "service: stopped"
}

remove_files() {
    rm -f $UNITS/edge-pose.service $UNITS/edge-pose@.service /etc/udev/rules.d/70-edge-pose-coral.rules
    [ "$(readlink /usr/local/bin/edge-pose)" != /opt/edge-pose/current/bin/edge-pose ] || rm -f /usr/local/bin/edge-pose
    rm -rf /opt/edge-pose /var/cache/edge-pose /var/lib/edge-pose
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl reset-failed 'edge-pose*.service' 2>/dev/null || true
        udevadm control --reload 2>/dev/null || true
    fi
    echo "program, models and recordings: removed"
}

remove_user() {
    ! getent passwd edge-pose >/dev/null || userdel edge-pose
    ! getent group edge-pose >/dev/null || groupdel edge-pose
    echo "user: removed"
}

remove_config() {
    rm -rf /etc/edge-pose $UNITS/edge-pose.service.d $UNITS/edge-pose@*.service.d
    echo "config: removed"
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

stop_services
remove_files
remove_user
if [ -n "$purge" ]; then remove_config; else echo "config: kept in /etc/edge-pose"; fi
