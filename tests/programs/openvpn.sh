# openvpn: a tunnel by UDP and one by TCP, and pings through each
packages="openvpn openssl"
port=1194
certificate() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.crt" -days 2 -subj "/CN=$1" 2>/dev/null; }
fingerprint() { openssl x509 -in "$1" -noout -sha256 -fingerprint | sed 's/.*=//'; }
server() {
    mkdir -p /tmp/underpass-openvpn && cd "$SHARED"
    certificate server && certificate client
    for kind in udp tcp-server; do
        openvpn --dev tun --proto $kind --port 1194 --tls-server --dh none --cert server.crt --key server.key \
            --peer-fingerprint "$(fingerprint client.crt)" --ifconfig "10.9.${#kind}.1" "10.9.${#kind}.2" --keepalive 2 20 &
    done
    wait
}
client() {
    cd "$SHARED"
    for kind in udp tcp-client; do
        net=10.9.$([ $kind = udp ] && echo 3 || echo 10)
        openvpn --dev tun --proto $kind --remote "$SERVER" 1194 --nobind --tls-client --cert client.crt --key client.key \
            --peer-fingerprint "$(fingerprint server.crt)" --ifconfig "$net.2" "$net.1" >"$DIR/log-$kind" &
        vpn=$!
        for _ in $(seq 40); do ping -c 1 -W 1 "$net.1" >/dev/null && break; done
        ping -c 20 -i 0.05 -s 1300 -W 2 "$net.1" | grep -o '[0-9]* received'
        kill $vpn && wait $vpn || true
    done
}
