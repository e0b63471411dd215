#!/bin/busybox sh
# The guest's first process: mounts, loads what the agent's port needs, and reaps orphans while the agent works.
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
busybox mount -t tmpfs tmpfs /tmp
busybox mount -t configfs none /sys/kernel/config 2>/dev/null
for module in $(busybox cat /m/base); do busybox insmod /m/$module.ko; done
/usr/bin/lab-agent
echo "the agent ended with $?"
busybox poweroff -f
