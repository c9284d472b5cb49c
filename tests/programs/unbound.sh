# unbound: a resolver that asks a server, by UDP and by TCP
packages="unbound dnsmasq-base bind9-dnsutils"
port=53
server() { exec dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --address=/names.net/203.0.113.10 --pid-file="$DIR/pid" --user=root; }
client() {
    for tcp in no yes; do
        printf 'server:\n interface: 127.0.0.9@5353\n do-daemonize: no\n username: ""\n chroot: ""\n directory: "%s"\n pidfile: "%s/pid"\n tcp-upstream: %s\n do-not-query-localhost: no\n module-config: iterator\nforward-zone:\n name: "."\n forward-addr: %s\nremote-control:\n control-enable: no\n' "$DIR" "$DIR" $tcp "$SERVER" >conf
        unbound -d -c conf &
        resolver=$!
        for i in $(seq 20); do dig @127.0.0.9 -p 5353 +short +tries=10 +time=1 "h$i.names.net" | tail -1; done | sort | uniq -c
        kill $resolver && wait $resolver || true
    done
}
