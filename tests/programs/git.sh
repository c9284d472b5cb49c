# git: clone, push and fetch by the git protocol
packages="git"
port=9418
server() {
    git init -q --bare work.git
    git init -q w && cd w
    git config user.email a@b && git config user.name a
    for i in $(seq 50); do head -c 100000 /dev/zero | openssl enc -aes-128-ctr -K "$(printf %032x "$i")" -iv 00 2>/dev/null >"f$i"; done
    git add . && GIT_AUTHOR_DATE=@0 GIT_COMMITTER_DATE=@0 git commit -qm one && git push -q ../work.git HEAD:refs/heads/main
    cd ..
    git -C work.git symbolic-ref HEAD refs/heads/main
    exec git daemon --reuseaddr --export-all --enable=receive-pack --base-path="$DIR" "$DIR"
}
client() {
    git clone -q "git://$SERVER/work.git" w
    git -C w fsck 2>/dev/null && git -C w log --format=%H
    cd w && git config user.email a@b && git config user.name a
    seq 100000 >new && git add new && GIT_AUTHOR_DATE=@1 GIT_COMMITTER_DATE=@1 git commit -qm two
    git push -q -f origin HEAD:refs/heads/second && git ls-remote origin refs/heads/second
}
