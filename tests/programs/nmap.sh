# nmap: connect, SYN and UDP scans of open, closed, dropped and rejecting ports, and of protocols
packages="nmap iptables"
port=80
server() {
    # Both runs come from one address, and the first would use up the second one's budget of errors.
    sysctl -qw net.ipv4.icmp_ratelimit=0
    iptables -A INPUT -p tcp --dport 82 -j DROP
    iptables -A INPUT -p tcp --dport 83 -j REJECT --reject-with icmp-admin-prohibited
    iptables -A INPUT -p tcp --dport 84 -j REJECT --reject-with icmp-port-unreachable
    iptables -A INPUT -p tcp --dport 85 -j REJECT --reject-with tcp-reset
    iptables -A INPUT -p udp --dport 82 -j DROP
    iptables -A INPUT -p udp --dport 83 -j REJECT --reject-with icmp-admin-prohibited
    exec python3 -c '
import socket, threading
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 80))
def udp():
    while True:
        data, peer = u.recvfrom(65535); u.sendto(b"hello", peer)
threading.Thread(target=udp, daemon=True).start()
s = socket.create_server(("", 80), backlog=128)
while True: s.accept()[0].close()'
}
client() {
    for kind in -sT -sS -sU; do
        nmap -n -Pn --reason --max-retries 3 --host-timeout 60 $kind -p 80-85 "$SERVER" | grep -E '^[0-9]+/|^PORT' | sed 's/ from .*//; s/ ttl .*//'
    done
    nmap -n -sn -PE "$SERVER" | grep -o 'Host is up'
}
