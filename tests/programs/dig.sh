# dig: records by UDP and TCP, EDNS, a truncated answer, a zone transfer, straight to a server
packages="bind9-dnsutils bind9"
port=53
server() {
    {
        echo '$TTL 60'
        echo '@ SOA ns admin 1 60 60 60 60'
        echo '@ NS ns'
        echo 'ns A 203.0.113.10'
        for i in $(seq 300); do echo "many TXT \"a rather long text in record number $i\""; done
        for i in $(seq 2000); do echo "host$i A 198.51.100.$((i % 250))"; done
    } >zone
    cat >named.conf <<CONF
options { directory "$DIR"; listen-on { any; }; listen-on-v6 { any; }; pid-file "$DIR/pid"; session-keyfile "$DIR/key"; recursion no; dnssec-validation no; managed-keys-directory "$DIR"; };
controls { };
zone "example.test" { type master; file "$DIR/zone"; allow-transfer { any; }; };
CONF
    exec named -g -c "$DIR/named.conf"
}
client() {
    for options in '' +tcp +noedns '+bufsize=512 +ignore' '+bufsize=4096' '+tcp +keepopen'; do
        for name in 'host7 A' 'many TXT' 'nothing A'; do
            set -- $name
            dig @"$SERVER" +nocookie $options +noall +comments +answer +time=5 +tries=1 "$1.example.test" "$2" | sed 's,id: [0-9]*,,' | sort | sha256sum
        done
    done
    dig @"$SERVER" +noall +answer example.test AXFR | sort | sha256sum
    dig @"$SERVER_V6" +short host9.example.test
}
