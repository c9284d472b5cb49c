# openssl: a TLS session with 5 MB each way
packages="openssl"
port=8443
server() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=lab 2>/dev/null
    seq 1 700000 >file
    exec openssl s_server -quiet -accept 8443 -key key -cert cert -WWW
}
client() { printf 'GET /file HTTP/1.0\r\n\r\n' | openssl s_client -quiet -connect "$SERVER:8443" 2>/dev/null | sha256sum; }
