# wrk: 50 connections for 3 s without a socket error
packages="wrk nginx-light"
port=8080
server() {
    printf 'daemon off; pid %s/pid; error_log stderr; events {} http { access_log off; server { listen 8080; location / { return 200 "hello\\n"; } } }' "$DIR" >nginx.conf
    exec nginx -p "$DIR" -c "$DIR/nginx.conf"
}
client() { wrk -t 2 -c 50 -d 3 "http://$SERVER:8080/" | awk '/Socket errors|Non-2xx/ { print } /requests in/ { print ($1 > 500) ? "enough" : "too few" }'; }
