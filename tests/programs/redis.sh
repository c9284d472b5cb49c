# redis: a value of 5 MB, 20,000 requests in pipelines, and a subscription
packages="redis-server redis-tools"
port=6379
server() { exec redis-server --bind 0.0.0.0 --protected-mode no --save '' --dir "$DIR"; }
client() {
    seq 1 700000 | redis-cli -h "$SERVER" -x set big
    redis-cli -h "$SERVER" get big | sha256sum
    redis-benchmark -h "$SERVER" -q -n 20000 -P 16 -c 20 -t set,get --csv | cut -d, -f1
    (redis-cli -h "$SERVER" subscribe news | head -6 | tail -1) &
    until redis-cli -h "$SERVER" publish news hello | grep -qx 1; do :; done
    wait
}
