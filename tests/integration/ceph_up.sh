#!/bin/bash
# One node of Ceph, all in memory, and its S3 gateway on 127.0.0.1: ceph_up.sh PORT
# Runs inside the folder of ceph_install.sh until its input ends: whoever started it is gone then.
# Two at once: ports 1000 apart.
set -eu
exec 3<&0
(cat <&3 >/dev/null; kill -KILL 0) &
port=$1 monitor=$(($1 - 691)) place=/ceph
rm -rf $place
mkdir -p $place/{mon,osd,rgw,run,log}
cat >$place/ceph.conf <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = v1:127.0.0.1:$monitor
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
run dir = $place/run
admin socket = $place/run/\$cluster-\$name.\$pid.asok
log file = $place/log/\$name.log
pid file = $place/run/\$name.pid
keyring = $place/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
# How full the disk is doesn't matter: nothing is kept there.
mon data avail warn = 1
mon data avail crit = 1
mon osd full ratio = .99
mon osd nearfull ratio = .99
mon osd backfillfull ratio = .99
debug default = 0
[mon.a]
mon data = $place/mon
[osd.0]
osd data = $place/osd
osd objectstore = memstore
osd class load list = *
osd class default list = *
memstore device bytes = 2147483648
memstore page set = false
[client.rgw.a]
rgw data = $place/rgw
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw s3 auth use keystone = false
rgw gc max objs = 7
rgw lc max objs = 7
rgw usage max shards = 1
rgw md log max shards = 1
rgw data log num shards = 1
rgw objexp hints num shards = 7
rgw dynamic resharding = false
rgw zone root pool = rgw.root
CONF
conf="-c $place/ceph.conf"
fsid=$(sed -n 's/^fsid = //p' $place/ceph.conf)

# On a busy machine a client may ask the monitor before it knows which cluster it is in, and is
# refused ("wrong fsid"): everything that asks is asked again.
again() {
  for _ in $(seq 20); do "$@" && return 0; sleep .5; done
  return 1
}
make_user() {
  radosgw-admin $conf -n client.rgw.a user info --uid=lab ||
    radosgw-admin $conf -n client.rgw.a user create --uid=lab --display-name=lab \
      --access-key=lab --secret=labsecret
}

ceph-authtool --create-keyring $place/keyring --gen-key -n mon. --cap mon 'allow *'
ceph-authtool $place/keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$monitor]" $place/monmap
ceph-mon $conf -i a --mkfs --monmap $place/monmap --keyring $place/keyring
ceph-mon $conf -i a -f &
disk=$(cat /proc/sys/kernel/random/uuid)
again ceph $conf osd new "$disk"
again ceph-osd $conf -i 0 --mkfs --osd-uuid "$disk"
again ceph-osd $conf -i 0 -f &
until ceph $conf osd stat -f json | grep -q '"num_up_osds":1'; do sleep .2; done
again make_user
again radosgw $conf -n client.rgw.a -f &
wait
