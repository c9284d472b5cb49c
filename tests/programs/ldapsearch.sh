# ldapsearch: 500 entries of a directory
packages="slapd ldap-utils"
port=389
server() {
    mkdir db
    cat >slapd.conf <<CONF
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $DIR/pid
database mdb
suffix dc=lab,dc=test
directory $DIR/db
CONF
    {
        printf 'dn: dc=lab,dc=test\nobjectClass: dcObject\nobjectClass: organization\no: lab\ndc: lab\n\n'
        for i in $(seq 500); do printf 'dn: cn=p%s,dc=lab,dc=test\nobjectClass: person\ncn: p%s\nsn: s\n\n' $i $i; done
    } | slapadd -f slapd.conf
    exec slapd -d 0 -f "$DIR/slapd.conf" -h 'ldap://0.0.0.0:389/'
}
client() { ldapsearch -x -LLL -z 0 -H "ldap://$SERVER" -b dc=lab,dc=test -E pr=100/noprompt cn | grep -c '^cn: '; }
