# What the scripts of both days have in common.
export SSL_CERT_FILE=/etc/etagfs/tls.crt ETAGFS_ACCESS_KEY=key ETAGFS_SECRET_KEY=secretsecret
cd /root

# pid UNIT is its main process.
pid() { systemctl show -p MainPID --value "$1"; }

# of FIELD PID is what its status says, the first of it.
of() { sed -n "s/^$1:[[:space:]]*\([^[:space:]]*\).*/\1/p" "/proc/$2/status"; }

# await UNIT PID waits until it runs with another main process.
await() { until begun "$(pid "$1")" "$2" && [ "$(systemctl is-active "$1")" = active ]; do sleep 0.05; done; }

# begun NEW OLD: there is a process, and it is another one.
begun() { [ "$1" != 0 ] && [ "$1" != "$2" ]; }
