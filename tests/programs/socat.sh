# socat: half-closed connections, and datagrams from one port to several servers
packages="socat"
port=7001
server() {
    socat TCP-LISTEN:7001,fork,reuseaddr SYSTEM:'sha256sum' &
    socat UDP-RECVFROM:7002,fork SYSTEM:'echo two' &
    exec socat UDP-RECVFROM:7003,fork SYSTEM:'echo three'
}
client() {
    seq 500000 | socat -t 20 - "TCP:$SERVER:7001"
    for port in 7002 7003; do echo x | socat -t 3 - "UDP:$SERVER:$port,sourceport=40404"; done
}
