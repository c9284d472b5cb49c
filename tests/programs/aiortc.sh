# aiortc: WebRTC, with a data channel and audio both ways; then ICE through a TURN relay alone
packages="coturn python3-venv"
pip="aiortc"
port=8080
server() {
    turnserver -n --no-tls --no-dtls -L 203.0.113.10 -E 203.0.113.10 -a -u u:p -r lab.test --allow-loopback-peers --cli-password=x --pidfile "$DIR/pid" --log-file "$DIR/log" >/dev/null &
    exec "$PYTHON" "${0%/*}/webrtc.py" serve
}
client() { "$PYTHON" "${0%/*}/webrtc.py" ask "$SERVER"; }
