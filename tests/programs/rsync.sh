# rsync: a tree of 300 files, and again after a change
packages="rsync"
port=873
server() {
    mkdir tree
    for i in $(seq 300); do seq $i $((i * 20)) >"tree/f$i"; done
    printf 'use chroot = no\nuid = root\ngid = root\n[tree]\npath = %s/tree\nread only = no\n' "$DIR" >conf
    exec rsync --daemon --no-detach --config="$DIR/conf"
}
client() {
    rsync -a "rsync://$SERVER/tree/" copy/
    (cd copy && find . -type f | LC_ALL=C sort | xargs cat | sha256sum)
    echo changed >copy/f7
    rsync -a --stats "rsync://$SERVER/tree/" copy/ | grep -E '^Number of regular files transferred'
}
