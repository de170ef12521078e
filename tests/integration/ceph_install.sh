#!/bin/bash
# Ceph's S3 gateway from a newer Debian suite, in a folder of its own: ceph_install.sh DIR [SUITE]
# Needs Debian and root; takes a minute and 1 GB. The mirror is the one that apt uses here.
set -eu
root=$1 suite=${2:-sid}
apt-get install -y -q --no-install-recommends debootstrap
sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null || true)
mirror=$(grep -E '^(URIs:|deb )' <<<"$sources" | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1)
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror"
# Nothing that is installed may start a service.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
mkdir -p "$root/etc/apt/apt.conf.d"
cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe"
unshare --mount sh -c 'mount -t proc proc "$0/proc"; exec chroot "$0" sh -c "$1"' "$root" '
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q -o Acquire::Check-Valid-Until=false
  apt-get install -y -q --no-install-recommends ceph-mon ceph-osd radosgw ceph-common'
