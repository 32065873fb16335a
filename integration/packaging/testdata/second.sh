# The machine is switched on again.
set -eu
. /root/units.sh

echo 'everything is mounted, and has what it had'
echo hello >hello
for dir in far near files; do
	mountpoint -q /mnt/$dir
	cmp /mnt/$dir/last hello
done
test "$(etagfs conflicts list /mnt/near | wc -l)" = 1

echo 'everything had ended well'
for unit in etagfs-serve etagfs-mount@far etagfs-mount@near mnt-files.mount; do
	if journalctl -b -1 -u $unit -n 20 | grep -E 'SIGKILL|timed out|did not end well'; then exit 1; fi
done
journalctl -b -1 -u etagfs-mount@near -n 20 | grep -q 'msg=unmounted store=/var/lib/near'
test "$(grep -c 'msg=unmounted' /var/lib/files/etagfs.log)" -ge 2
systemctl stop etagfs-mount@far etagfs-mount@near mnt-files.mount etagfs-serve
for store in /var/lib/near /var/lib/files /var/lib/private/etagfs/store; do
	etagfs check --payload $store
done
echo 'that is all'
