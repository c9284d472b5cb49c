# iperf3: TCP both ways, and UDP at 20 Mbit/s without a loss
packages="iperf3"
port=5201
server() { exec iperf3 -s; }
client() {
    iperf3 -J -c "$SERVER" -t 2 | python3 -c 'import json,sys; d=json.load(sys.stdin); print("up", d["end"]["sum_received"]["bytes"] > 1e6)'
    iperf3 -J -c "$SERVER" -t 2 -R | python3 -c 'import json,sys; d=json.load(sys.stdin); print("down", d["end"]["sum_received"]["bytes"] > 1e6)'
    # Its own choice of blocks, by the MTU that it sees.
    iperf3 -J -u -b 20M -c "$SERVER" -t 2 | python3 -c 'import json,sys; d=json.load(sys.stdin); print("udp", d["start"]["test_start"]["blksize"], d["end"]["sum"]["lost_percent"] < 1)'
}
