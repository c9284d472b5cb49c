//! Everyday programs over TCP through the tunnel: ssh, git, curl.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{SERVER, SERVER_V6};
use lab::scene::{PATIENCE, Scratch, must, python_server, tunnelled_lab};
use lab::{Lab, Place, until};

/// A web server: GET returns 100 MB, PUT answers with the SHA-256 of the upload. It logs nothing.
const GIVE_AND_TAKE: &str = "
import hashlib, http.server, socket, sys
DATA = hashlib.shake_256(b'web').digest(100_000_000)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self, data):
        self.send_response(200)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        self.answer(DATA if self.path == '/data' else b'small')
    def do_PUT(self):
        left, digest = int(self.headers['Content-Length']), hashlib.sha256()
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
        self.answer(digest.hexdigest().encode())
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(('::', 80), Handler).serve_forever()
";

/// Writes that many bytes, derived from a name, to a file; prints their SHA-256.
const WRITE: &str = "
import hashlib, sys
data = hashlib.shake_256(sys.argv[1].encode()).digest(int(sys.argv[2]))
open(sys.argv[3], 'wb').write(data)
print(hashlib.sha256(data).hexdigest())
";

fn write_file(lab: &Lab, name: &str, bytes: &str, path: &str) -> String {
    let written = lab.run(Place::Wsl, &["python3", "-c", WRITE, name, bytes, path]).unwrap();
    assert!(written.succeeded(), "{written:?}");
    written.stdout.trim().to_owned()
}

fn hash(lab: &Lab, path: &str) -> String {
    must(lab, Place::Wsl, &format!("sha256sum {path}"))
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn listens(lab: &Lab, port: u16) -> bool {
    until(PATIENCE, || {
        !must(lab, Place::Internet, &format!("ss -Htln sport = :{port}")).trim().is_empty()
    })
}

#[test]
fn curl_downloads_and_uploads_exactly_and_keeps_its_connection() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let scratch = Scratch::new();
    let _server = python_server(&lab, Place::Internet, GIVE_AND_TAKE, &[], 80);
    let (mine, theirs) = (scratch.path("mine"), scratch.path("theirs"));
    let wanted = write_file(&lab, "web", "100000000", &mine);
    for host in [SERVER.to_owned(), format!("[{SERVER_V6}]")] {
        let curl = "curl --globoff --silent --show-error --fail --max-time 100";
        must(&lab, Place::Wsl, &format!("{curl} --output {theirs} http://{host}/data"));
        assert_eq!(hash(&lab, &theirs), wanted, "{host}: down");
        assert_eq!(
            must(&lab, Place::Wsl, &format!("{curl} --upload-file {mine} http://{host}/")),
            wanted,
            "{host}: up"
        );
        let before = tunnel.status()["totals"]["tcp"].as_u64().unwrap();
        let url = format!("http://{host}/small");
        let twice =
            must(&lab, Place::Wsl, &format!("{curl} --write-out ,%{{num_connects}}, {url} {url}"));
        assert_eq!(twice, "small,1,small,0,", "{host}: two requests, one connection");
        assert_eq!(tunnel.status()["totals"]["tcp"].as_u64().unwrap(), before + 1, "{host}");
    }
}

#[test]
fn ssh_runs_a_command_and_copies_exactly() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let scratch = Scratch::new();
    let (key, host_key) = (scratch.path("key"), scratch.path("host_key"));
    for file in [&key, &host_key] {
        let made = lab
            .run(Place::Wsl, &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file])
            .unwrap();
        assert!(made.succeeded(), "{made:?}");
    }
    let (mine, theirs, back) = (scratch.path("mine"), scratch.path("theirs"), scratch.path("back"));
    let wanted = write_file(&lab, "ssh", "20000000", &mine);
    // The service's own start would make the folder.
    let start = "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f /dev/null -h \"$0\" -o AuthorizedKeysFile=\"$1\" \
                 -o StrictModes=no -o PidFile=none -o Subsystem='sftp internal-sftp'";
    let public = format!("{key}.pub");
    let words = ["sh", "-c", start, &host_key, &public];
    let server = lab.start_logged(Place::Internet, scratch.path("sshd").as_ref(), &words).unwrap();
    assert!(listens(&lab, 22), "sshd does not start: {}", server.stderr());
    let options = format!(
        "-F none -i {key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
         -o ConnectTimeout=20 -o ServerAliveInterval=20 -o LogLevel=ERROR"
    );
    let said = lab.run(
        Place::Wsl,
        &format!("ssh {options} root@{SERVER} ip -4 addr show dev lo")
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    let said = said.unwrap();
    assert!(
        said.stdout.contains(SERVER),
        "the command ran on the server: {said:?} {}",
        server.stderr()
    );
    must(&lab, Place::Wsl, &format!("scp -q {options} {mine} root@{SERVER}:{theirs}"));
    assert_eq!(hash(&lab, &theirs), wanted, "to the server");
    must(&lab, Place::Wsl, &format!("scp -q {options} root@[{SERVER_V6}]:{theirs} {back}"));
    assert_eq!(hash(&lab, &back), wanted, "and back by IPv6");
}

#[test]
fn git_clones_over_http_and_its_own_protocol() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let scratch = Scratch::new();
    let (work, served) = (scratch.path("work"), scratch.path("served"));
    let git = "git -c user.name=Lab -c user.email=lab@lab.test -c safe.directory=* -c init.defaultBranch=main";
    must(&lab, Place::Wsl, &format!("{git} init -q {work}"));
    for (n, name) in ["one", "two", "three"].into_iter().enumerate() {
        write_file(&lab, name, "1500000", &format!("{work}/{name}"));
        must(&lab, Place::Wsl, &format!("{git} -C {work} add ."));
        must(&lab, Place::Wsl, &format!("{git} -C {work} commit -q -m {name}-{n}"));
    }
    let head = must(&lab, Place::Wsl, &format!("{git} -C {work} rev-parse HEAD"));
    must(&lab, Place::Wsl, &format!("{git} clone -q --bare {work} {served}/repo.git"));
    must(&lab, Place::Wsl, &format!("{git} -C {served}/repo.git update-server-info"));
    let web = ["python3", "-m", "http.server", "80", "--bind", "::", "--directory", &served];
    let _web = lab.start(Place::Internet, &web).unwrap();
    let base = format!("--base-path={served}");
    // In one process: a second one would outlive this test's.
    let daemon = must(&lab, Place::Wsl, "git --exec-path").trim().to_owned() + "/git-daemon";
    let daemon = [daemon.as_str(), "--export-all", "--reuseaddr", "--listen=::", &base, &served];
    let _daemon = lab.start(Place::Internet, &daemon).unwrap();
    assert!(listens(&lab, 80) && listens(&lab, 9418), "the servers do not start");
    for (n, url) in [format!("http://{SERVER}"), format!("git://[{SERVER_V6}]")].iter().enumerate()
    {
        let clone = scratch.path(&format!("clone-{n}"));
        must(&lab, Place::Wsl, &format!("timeout 60 {git} clone -q {url}/repo.git {clone}"));
        assert_eq!(
            must(&lab, Place::Wsl, &format!("{git} -C {clone} rev-parse HEAD")),
            head,
            "{url}"
        );
        must(&lab, Place::Wsl, &format!("{git} -C {clone} fsck --strict"));
    }
}
