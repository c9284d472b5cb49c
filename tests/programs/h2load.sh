# h2load: 2,000 requests over 20 connections of 10 streams each
packages="nghttp2-client nghttp2-server"
port=8080
server() {
    seq 1 2000 >file
    exec nghttpd --no-tls -d "$DIR" 8080
}
client() { h2load -n 2000 -c 20 -m 10 "http://$SERVER:8080/file" | grep -E '^(requests|status codes):'; }
