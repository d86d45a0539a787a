"""Installing packages beside others who do, and after a run that was killed while it did. Pure: shell text."""

from __future__ import annotations

SETTLE = r"""
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
busy() { case $1 in *"locked by another process"* | *"Could not get lock"*) ;; *) return 1 ;; esac
  i=$((i+1)); [ $i -le 300 ] || { echo "another apt has been at work for 300 s: $1" >&2; exit 5; }; sleep 1; }
apt() { i=0; until said=$(apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" 2>&1); do
  busy "$said" || { printf '%s\n' "$said" >&2; return 1; }; done; }
if command -v dpkg >/dev/null; then
  i=0; until said=$(dpkg --configure -a --force-confdef --force-confold 2>&1) || ! busy "$said"; do :; done
fi
"""
"""Waits for an apt that still works, finishes what dpkg has unpacked and not configured, and defines ``apt``.

``apt ARGUMENTS`` is apt-get without questions, which waits for every lock; it prints what apt said only when it fails.
"""
