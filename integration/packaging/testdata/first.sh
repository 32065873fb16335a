# What an administrator does with the units on the first day. The machine is switched off at the end, with all of it running.
set -eu
. /root/units.sh

echo 'the server has a user of its own, with nothing, and is back after kill -9'
umask 077
printf 'ETAGFS_ACCESS_KEY=key\nETAGFS_SECRET_KEY=secretsecret\n' >/etc/etagfs/serve.env
systemctl start etagfs-serve
server=$(pid etagfs-serve)
test "$(of Uid "$server")" -ge 61184 # the first that systemd makes up
test "$(of CapBnd "$server")" = 0000000000000000
echo hello >hello
etagfs put http://127.0.0.1:9000/main greeting hello
kill -9 "$server"
await etagfs-serve "$server"
etagfs cat http://127.0.0.1:9000/main greeting | cmp - hello

echo 'with the example for TLS it has the key, which its user cannot read, and a port below 1024'
mkdir -p /etc/systemd/system/etagfs-serve.service.d
cp /usr/share/doc/etagfs/examples/etagfs-serve-tls.conf /etc/systemd/system/etagfs-serve.service.d
systemctl daemon-reload
systemctl restart etagfs-serve
etagfs cat https://localhost/main greeting | cmp - hello

echo 'mounts begin when their server does, and go on when it begins anew'
systemctl stop etagfs-serve
printf 'STORE=https://localhost/main\nDIR=/mnt/far\nSSL_CERT_FILE=/etc/etagfs/tls.crt\n' >/etc/etagfs/far.env
cat /etc/etagfs/serve.env >>/etc/etagfs/far.env
systemctl start --no-block etagfs-mount@far
until [ "$(systemctl show -p NRestarts --value etagfs-mount@far)" -ge 5 ]; do sleep 0.1; done # more often than systemd tries unasked
systemctl start etagfs-serve
await etagfs-mount@far 0
cmp /mnt/far/greeting hello
systemctl restart etagfs-serve
cp hello /mnt/far/again
cmp /mnt/far/again hello

echo 'a mount is back after kill -9, with what was committed, and what was being written is kept'
printf 'STORE=/var/lib/near\nDIR=/mnt/near\nOPTIONS=nodev,append=strict\n' >/etc/etagfs/near.env
systemctl start etagfs-mount@near
cp hello /mnt/near/f
daemon=$(pid etagfs-mount@near)
{ echo lost; exec tail -f /dev/null; } 1<>/mnt/near/f & # what closes its copy of the file commits it: nothing does
until grep -q '"changed":true' /mnt/near/.etagfs/transactions; do sleep 0.05; done
kill -9 "$daemon"
await etagfs-mount@near "$daemon"
kill $!
cmp /mnt/near/f hello
etagfs conflicts list /mnt/near | grep -q ' f$'

echo 'what is wrong with it is not tried again'
printf 'STORE=/var/lib/odd\nDIR=/mnt/near\nOPTIONS=nonsense\n' >/etc/etagfs/odd.env
if systemctl start etagfs-mount@odd 2>refusal; then exit 1; fi
test "$(systemctl is-failed etagfs-mount@odd)" = failed
test "$(systemctl show -p NRestarts --value etagfs-mount@odd)" = 0

echo 'a stop ends a mount that is in use, too'
tail -f /dev/null </mnt/near/f &
systemctl stop etagfs-mount@near
if mountpoint -q /mnt/near; then exit 1; fi
flock --nonblock /var/lib/near/lock true
kill $!
systemctl start etagfs-mount@near

echo 'a mount unit, and a line of fstab that is mounted when it is used'
cp /usr/share/doc/etagfs/examples/mnt-files.mount /etc/systemd/system
systemctl daemon-reload
systemctl start mnt-files.mount
cp hello /mnt/files/f
systemctl stop mnt-files.mount
flock --nonblock /var/lib/files/lock true
if [ -e /dev/autofs ]; then
	echo '/var/lib/files /mnt/auto etagfs noauto,nofail,x-systemd.automount,x-systemd.idle-timeout=1 0 0' >/etc/fstab
	systemctl daemon-reload
	systemctl start mnt-auto.automount
	cmp /mnt/auto/f hello
	until [ "$(systemctl is-active mnt-auto.mount)" = inactive ]; do sleep 0.1; done
	cmp /mnt/auto/f hello
	systemctl stop mnt-auto.mount mnt-auto.automount
	: >/etc/fstab
fi

echo 'everything is in use when the machine is switched off'
systemctl enable etagfs-serve etagfs-mount@far etagfs-mount@near mnt-files.mount 2>refusal
systemctl start mnt-files.mount
cp hello /mnt/far/last
cp hello /mnt/near/last
cp hello /mnt/files/last
tail -f /dev/null </mnt/near/last &
echo 'that is all'
