# ssh: a command, 5 MB each way, a forwarded port
packages="openssh-client openssh-server"
port=2222
server() {
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$SHARED"/id
    ssh-keygen -q -t ed25519 -N '' -f host
    python3 -m http.server 8088 --bind 127.0.0.1 --directory "$DIR" >/dev/null 2>&1 &
    echo page >page
    exec /usr/sbin/sshd -D -e -f /dev/null -p 2222 -h "$DIR/host" -o AuthorizedKeysFile="$SHARED"/id.pub -o StrictModes=no -o PidFile=none
}
client() {
    go() { ssh -q -F none -p 2222 -i "$SHARED"/id -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "$@"; }
    go "root@$SERVER" echo hello
    seq 700000 | go "root@$SERVER" cat | sha256sum
    go -N -L 127.0.0.1:8089:127.0.0.1:8088 "root@$SERVER" &
    forward=$!
    curl -s --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:8089/page
    kill $forward
}
