# aioquic: HTTP/3 over QUIC: 20 requests at once, 5 MB down and 2 MB up, a second connection by its ticket, IPv6
packages="openssl python3-venv"
pip="aioquic"
port=4433
server() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=lab.test 2>/dev/null
    exec "$PYTHON" "${0%/*}/http3.py" serve 4433 "$SERVER" "$SERVER_V6"
}
client() {
    "$PYTHON" "${0%/*}/http3.py" ask "$SERVER" 4433
    # The host has IPv6 with and without the tunnel.
    "$PYTHON" "${0%/*}/http3.py" ask "$SERVER_V6" 4433
}
