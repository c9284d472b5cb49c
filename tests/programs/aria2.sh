# aria2c: one file over eight connections at once
packages="aria2 nginx-light"
port=8080
server() {
    head -c 20000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 >file 2>/dev/null
    printf 'daemon off; user root; pid %s/pid; error_log stderr; events {} http { access_log off; server { listen 8080; root %s; } }' "$DIR" "$DIR" >nginx.conf
    exec nginx -p "$DIR" -c "$DIR/nginx.conf"
}
client() {
    aria2c -q -x 8 -s 8 -k 1M --no-conf -o file "http://$SERVER:8080/file"
    sha256sum file
}
