# dnsperf: 3 s of queries, by UDP and by TCP, without a loss
packages="dnsperf dnsmasq-base"
port=53
server() { exec dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --address=/lab.test/203.0.113.10 --pid-file="$DIR/pid" --user=root; }
client() {
    for i in $(seq 100); do echo "h$i.lab.test A"; done >queries
    for mode in udp tcp; do
        dnsperf -m $mode -s "$SERVER" -d queries -l 3 -c 4 -q 50 -Q 500 | sed -nE 's/^ *(Queries lost|Response codes): *//p' | sed -E 's/NOERROR [0-9]+/NOERROR n/'
    done
}
