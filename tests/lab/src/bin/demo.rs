//! The demo: what Underpass does, shown with real programs in a lab. Exits with 0 only if every
//! step did what it says.

use lab::addresses::{NAT_GATEWAY, ROUTER, SERVER, SERVER_NAME};
use lab::scene::{PATIENCE, python_server, way_out};
use lab::tunnel::send_signal;
use lab::{Finished, Lab, Place, Tunnel, Vpn, until};
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The web server of the demo's internet.
const WEB_SERVER: &str = "
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'Hello from the internet.\\n')
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(('203.0.113.10', 80), Handler).serve_forever()
";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the exit code remains.
            let _ = writeln!(io::stderr(), "\nThe demo FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Outcome<()> {
    if let Some(why) = lab::missing() {
        return Err(why.into());
    }
    heading(
        "A lab: a WSL-like VM, its Windows host, a router, and a server on the internet; each a network namespace",
    )?;
    let mut lab = Lab::new()?;
    let _dns = lab.start_nat_dns()?;
    let _web = python_server(&lab, Place::Internet, WEB_SERVER, &[], 80);
    let page = format!("http://{SERVER_NAME}/");
    let request = ["curl", "--silent", "--show-error", "--max-time", "4", &page];
    let hello = |finished: &Finished| {
        finished.succeeded() && finished.stdout.contains("Hello from the internet")
    };
    show(&lab, "VPN off: the VM reaches the server by its own network", &request, hello)?;

    lab.set_vpn(Vpn::On)?;
    show(&lab, "VPN on: the same request fails", &request, |finished| !finished.succeeded())?;
    let by_address =
        ["curl", "--silent", "--show-error", "--max-time", "2", &format!("http://{SERVER}/")];
    show(&lab, "The address does not help either", &by_address, |finished| !finished.succeeded())?;

    heading("`underpass up` in the VM, its relay on the host")?;
    let mut tunnel = Tunnel::up(&lab, &[]);
    output(&tunnel.said())?;

    show(&lab, "The same request again, with the VPN on", &request, hello)?;
    let dig = ["dig", "+noall", "+answer", "+time=3", SERVER_NAME];
    show(&lab, "A DNS look-up", &dig, |finished| {
        finished.succeeded() && finished.stdout.contains(SERVER)
    })?;
    let ping = ["ping", "-c", "3", "-i", "0.2", SERVER];
    show(&lab, "A ping", &ping, |finished| finished.stdout.contains(" 3 received"))?;
    for (what, option) in [("A traceroute by ICMP", "-I"), ("A traceroute by UDP", "-U")] {
        let words = ["traceroute", "-n", "-q", "1", "-w", "2", "-m", "8", option, SERVER];
        show(&lab, what, &words, |finished| {
            finished.stdout.contains(ROUTER) && ends_with_hop(finished, SERVER)
        })?;
    }

    heading("`underpass status`")?;
    let status = tunnel.command(&["status"])?;
    output(&status.stdout)?;
    judge(
        status.succeeded() && status.stdout.contains("ready"),
        "the status of a tunnel that is up",
        &status,
    )?;

    heading("The gateway is killed with SIGKILL, so that it cannot clean up")?;
    send_signal(tunnel.process().pid(), "KILL");
    if !until(PATIENCE, || !tunnel.process().is_running()) {
        return Err("a killed gateway still runs".into());
    }
    let route = ["ip", "route", "get", SERVER];
    let old =
        |finished: &Finished| finished.stdout.contains(&format!("via {NAT_GATEWAY} dev eth0"));
    show(&lab, "The VM's old route is back by itself", &route, old)?;
    lab.set_vpn(Vpn::Off)?;
    show(&lab, "And with the VPN off the old network works", &request, hello)?;

    heading("A second start finds no obstacle")?;
    lab.set_vpn(Vpn::On)?;
    let mut tunnel = Tunnel::up(&lab, &[]);
    output(&tunnel.said())?;
    show(&lab, "The request again, with the VPN on", &request, hello)?;
    send_signal(tunnel.process().pid(), "TERM");
    let code = tunnel.process().exit_code(PATIENCE);
    if code != Some(0) || way_out(&lab, SERVER) != "eth0" {
        return Err(format!("stopped by SIGTERM it ended with {code:?}").into());
    }
    heading("Stopped by SIGTERM; every step did what it says. The lab is removed.")?;
    Ok(())
}

/// Runs a program in the VM, shows it and its output, and fails if that is not as expected.
fn show(
    lab: &Lab,
    what: &str,
    words: &[&str],
    as_it_should: impl Fn(&Finished) -> bool,
) -> Outcome<()> {
    heading(what)?;
    output(&format!("$ {}", words.join(" ")))?;
    let finished = lab.run(Place::Wsl, words)?;
    output(&finished.stdout)?;
    output(&finished.stderr)?;
    judge(as_it_should(&finished), what, &finished)
}

fn judge(holds: bool, what: &str, finished: &Finished) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("unexpected: {what}: {finished:?}").into()) }
}

fn ends_with_hop(finished: &Finished, address: &str) -> bool {
    finished.stdout.lines().last().is_some_and(|hop| hop.split_whitespace().nth(1) == Some(address))
}

fn heading(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "\n== {text}")
}

fn output(text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(io::stdout(), "   {line}"))
}
