# curl: HTTP/2 without TLS, a large upload, IPv6, a byte range, and a name that does not resolve
packages="curl nghttp2-server"
port=8080
server() {
    seq 1 200000 >file
    exec nghttpd --no-tls -d "$DIR" 8080
}
client() {
    curl -sS --http2-prior-knowledge -o file -w '%{http_version} %{http_code} %{size_download}\n' "http://$SERVER:8080/file"
    sha256sum <file
    curl -sS --http2-prior-knowledge -o /dev/null -w '%{http_code} %{size_upload}\n' --data-binary @file "http://$SERVER:8080/file"
    curl -sS --http2-prior-knowledge -g -o /dev/null -w '%{http_code}\n' "http://[$SERVER_V6]:8080/file"
    curl -sS --http2-prior-knowledge -r 5-20 "http://$SERVER:8080/file" | od -c
    curl -sS --max-time 5 http://nonexistent.invalid/ 2>&1 | sed 's/:.*//' || true
    curl -sS --max-time 5 "http://$SERVER:8081/" 2>&1 | grep -o 'Connection refused\|Could.*connect\|Couldn.*connect' || true
}
