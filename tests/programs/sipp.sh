# sipp: 50 calls by SIP over UDP, and over TCP
packages="sip-tester"
port=5060
server() {
    sipp -max_socket 1000 -sn uas -i 203.0.113.10 -p 5060 -t un -bg >/dev/null || true
    exec sipp -max_socket 1000 -sn uas -i 203.0.113.10 -p 5061 -t t1 -trace_err </dev/null >/dev/null
}
client() {
    for way in 'u1 5060' 't1 5061'; do
        set -- $way
        sipp -max_socket 1000 -sn uac "$SERVER:$2" -t "$1" -m 50 -r 25 -d 100 -timeout 40 -trace_stat -stf stat.csv </dev/null >/dev/null 2>&1 || echo "exit code $?"
        tail -1 stat.csv | awk -F';' -v kind="$1" 'NR==1 { print kind, "successful", $16, "failed", $18 }'
        rm -f stat.csv
    done
}
