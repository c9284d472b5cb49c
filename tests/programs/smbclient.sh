# smbclient: a file of 5 MB put to a Samba server and got back
packages="samba smbclient"
port=445
server() {
    mkdir share private
    chmod 777 share
    cat >smb.conf <<CONF
[global]
 smb ports = 445
 private dir = $DIR/private
 lock directory = $DIR/private
 state directory = $DIR/private
 cache directory = $DIR/private
 pid directory = $DIR/private
 ncalrpc dir = $DIR/private
 log file = $DIR/log
 map to guest = bad user
 guest account = root
[share]
 path = $DIR/share
 guest ok = yes
 read only = no
CONF
    exec smbd -F --no-process-group -s "$DIR/smb.conf"
}
client() {
    seq 1 700000 >file
    smbclient -N -t 30 "//$SERVER/share" -c 'put file; get file back' >/dev/null 2>&1
    sha256sum back
}
