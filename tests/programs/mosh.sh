# mosh: a session over UDP that answers a line
packages="mosh util-linux"
port=60002
server() {
    # A session for each client: a second one with the same key would count as a replay.
    for port in 60001 60002; do
        MOSH_SERVER_NETWORK_TMOUT=90 mosh-server new -i 203.0.113.10 -p $port -- sh -c 'read line; echo HELLO $line; sleep 2' >"$SHARED/$port" </dev/null
    done
    exec sleep 300
}
client() {
    port=60001
    [ -e "$SHARED/$port" ] || port=60002
    key=$(sed -n "s/^MOSH CONNECT $port //p" "$SHARED/$port" | tr -d '\r')
    rm "$SHARED/$port"
    (sleep 3; echo you; sleep 20) | TERM=xterm MOSH_KEY=$key script -qec "stty rows 24 cols 80; mosh-client $SERVER $port" /dev/null | grep -ao 'HELLO you'
}
