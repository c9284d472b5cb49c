# coturn's client: 20 messages each of two clients through a TURN relay, by UDP and by TCP
packages="coturn"
port=3478
server() { exec turnserver -n --no-tls --no-dtls -L 203.0.113.10 -E 203.0.113.10 -a -u u:p -r lab.test --allow-loopback-peers --cli-password=x --pidfile "$DIR/pid" --log-file stdout; }
client() {
    for kind in '' -t; do
        turnutils_uclient $kind -y -c -n 20 -m 2 -u u -w p "$SERVER" | grep -oE 'Total lost packets [0-9]+' | tail -1
    done
}
