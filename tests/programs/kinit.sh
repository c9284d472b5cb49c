# kinit: a Kerberos ticket by UDP, and by TCP
packages="krb5-kdc krb5-user krb5-admin-server"
port=88
conf() {
    printf '[libdefaults]\n default_realm = LAB.TEST\n dns_lookup_kdc = false\n udp_preference_limit = %s\n[realms]\n LAB.TEST = { kdc = 203.0.113.10 }\n' "$1" >krb5.conf
    export KRB5_CONFIG=$DIR/krb5.conf
}
server() {
    conf 1465
    printf '[kdcdefaults]\n kdc_ports = 88\n kdc_tcp_ports = 88\n[realms]\n LAB.TEST = { database_name = %s/db\n key_stash_file = %s/stash\n acl_file = %s/acl }\n' "$DIR" "$DIR" "$DIR" >kdc.conf
    export KRB5_KDC_PROFILE=$DIR/kdc.conf
    kdb5_util create -s -r LAB.TEST -P master >/dev/null
    kadmin.local -q 'addprinc -pw secret user' >/dev/null
    exec krb5kdc -n
}
client() {
    for limit in 1465 1; do
        conf $limit
        echo secret | kinit -c "$DIR/cache" user >/dev/null
        klist -c "$DIR/cache" | grep -o 'krbtgt/.*'
    done
}
