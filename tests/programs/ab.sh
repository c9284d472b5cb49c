# ApacheBench: 500 requests, 20 at once, kept alive
packages="apache2-utils nginx-light"
port=8080
server() {
    printf 'daemon off; pid %s/pid; error_log stderr; events {} http { access_log off; server { listen 8080; location / { return 200 "hello\\n"; } } }' "$DIR" >nginx.conf
    exec nginx -p "$DIR" -c "$DIR/nginx.conf"
}
client() { ab -q -k -n 500 -c 20 "http://$SERVER:8080/" | grep -E '^(Complete|Failed|Keep-Alive) requests|^Document Length'; }
