# snmpget: a value by UDP
packages="snmp snmpd"
port=161
server() {
    printf 'rocommunity public\nagentaddress udp:161\nsysName lab\n' >conf
    exec snmpd -f -C -c "$DIR/conf" -Lo
}
client() { snmpget -v2c -c public -Oqv "$SERVER" .1.3.6.1.2.1.1.5.0; }
