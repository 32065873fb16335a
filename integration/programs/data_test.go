package programs

// dataUses are of databases.
func dataUses() []use {
	return []use{
		{name: "sqlite3", needs: "sqlite3", script: `for mode in delete truncate persist memory; do sqlite3 $mode.db "pragma journal_mode=$mode; create table t(n integer primary key, s text); begin; with recursive c(n) as (select 1 union all select n+1 from c where n < 1000) insert into t select n, hex(n * 7919) from c; commit"
for i in 1 2 3; do sqlite3 $mode.db "pragma journal_mode=$mode; update t set s = 'x' where n % 5 = $i; delete from t where n % 7 = $i"; done; sqlite3 $mode.db "begin; delete from t; rollback; pragma integrity_check; vacuum; select count(*), sum(length(s)) from t; create index i on t(s); reindex; analyze"; sqlite3 $mode.db .dump | sha256sum; done; sqlite3 delete.db ".backup b.db"; sqlite3 b.db "attach 'persist.db' as p; begin; insert into main.t select n + 10000, s from p.t; delete from p.t; commit; select count(*) from main.t; pragma integrity_check"; rm -f *-journal; ls`, varies: `\.db$`},
		{name: "gdbm", needs: "gdbmtool", script: `for i in $(seq 100); do echo "store key$i value$i"; done | gdbmtool d.gdbm > /dev/null; gdbmtool -r d.gdbm fetch key50; gdbmtool d.gdbm count; gdbmtool d.gdbm delete key50 > /dev/null; gdbmtool d.gdbm reorganize > /dev/null; gdbmtool d.gdbm count; gdbm_dump d.gdbm dump; gdbm_load dump e.gdbm; gdbmtool e.gdbm count; gdbmtool e.gdbm fetch key50 2>&1 | grep -c 'No such item'`, varies: `gdbm$|^dump$`},
		{name: "perl dbm", needs: "perl", script: `perl -e 'use Fcntl; use SDBM_File; tie(%h, "SDBM_File", "s", O_RDWR|O_CREAT, 0644) or die $!; $h{"k$_"} = "v$_" x 3 for 1..500; delete $h{"k7"}; untie %h; tie(%h, "SDBM_File", "s", O_RDONLY, 0644) or die $!; print scalar(keys %h), " $h{k9}\n"; use DB_File; tie(%b, "DB_File", "b", O_RDWR|O_CREAT, 0644, $DB_BTREE) or die $!; $b{"k$_"} = $_ for 1..500; untie %b; tie(%b, "DB_File", "b", O_RDWR, 0644, $DB_BTREE) or die $!; print join(",", (keys %b)[0..2]), "\n"'`, varies: "^b$"},
		{name: "python dbm", needs: "python3", script: `/usr/bin/env python3 -c '
import dbm.dumb, shelve, sqlite3, csv, configparser
with dbm.dumb.open("d", "c") as d:
    for i in range(200): d["k%d" % i] = "v" * i
    del d["k7"]
with dbm.dumb.open("d", "r") as d: print(len(d), d["k9"])
c = sqlite3.connect("q"); c.execute("create table t(a)"); c.executemany("insert into t values(?)", [(i,) for i in range(100)]); c.commit(); print(c.execute("select sum(a) from t").fetchone()); c.close()
with open("c.csv", "w", newline="") as f: csv.writer(f).writerows([[i, i * i] for i in range(50)])
print(sum(int(r[1]) for r in csv.reader(open("c.csv")))); p = configparser.ConfigParser(); p["a"] = {"b": "c"}; p.write(open("i.ini", "w")); p.read("i.ini"); print(p["a"]["b"])'`, varies: `^[q]$`},
	}
}
