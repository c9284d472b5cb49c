# pgbench: transactions on a PostgreSQL server by four clients
packages="postgresql postgresql-contrib"
port=5432
server() {
    bin=$(echo /usr/lib/postgresql/*/bin)
    chmod 777 "$DIR"
    as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
    chmod 755 "$(dirname "$DIR")"
    as "$bin/initdb" -D "$DIR/data" -A trust -U postgres >/dev/null
    echo 'host all all all trust' >>"$DIR/data/pg_hba.conf"
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/postgres" -D "$DIR/data" -h 0.0.0.0 -k "$DIR"
}
client() {
    for _ in $(seq 50); do pg_isready -q -h "$SERVER" && break; done
    pgbench -q -i -s 1 -h "$SERVER" -U postgres postgres 2>/dev/null
    pgbench -h "$SERVER" -U postgres -c 4 -t 100 postgres 2>/dev/null | grep -E 'transactions actually|failed transactions'
}
