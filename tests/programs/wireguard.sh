# wireguard-go: pings and 2 MB through a WireGuard tunnel
packages="wireguard-go wireguard-tools iproute2"
port=51820
side() {
    WG_PROCESS_FOREGROUND=1 wireguard-go "$1" >/dev/null 2>&1 &
    until ip link show "$1" >/dev/null 2>&1 && [ -e "/var/run/wireguard/$1.sock" ]; do :; done
    ip addr add "$2/24" dev "$1"
}
server() {
    mkdir -p /tmp/underpass-wg && cd "$SHARED"
    for who in server client; do wg genkey | tee $who.key | wg pubkey >$who.pub; done
    side wgs 10.8.0.1
    wg set wgs listen-port 51820 private-key server.key peer "$(cat client.pub)" allowed-ips 10.8.0.2/32
    ip link set wgs up
    seq 300000 >file
    exec python3 -m http.server 80 --bind 10.8.0.1
}
client() {
    cd "$SHARED"
    side wgc 10.8.0.2
    wg set wgc private-key client.key peer "$(cat server.pub)" allowed-ips 10.8.0.1/32 endpoint "$SERVER:51820"
    ip link set wgc up
    ping -c 10 -i 0.1 -W 3 10.8.0.1 | grep -o '[0-9]* received'
    curl -s --retry 10 --retry-connrefused http://10.8.0.1/file | sha256sum
    kill %1
}
