//! Containers in the VM: on a bridge, with an MTU of 1500 while the TAP's is 65,520; their packets
//! masqueraded or unchanged.

use lab::addresses::{NAT_GATEWAY, SERVER, SERVER_NAME};
use lab::scene::{http_server, python_server, tunnelled_lab, tunnelled_lab_with_dns};
use lab::{Container, Masquerade, Place, programs};

/// Bytes fetched and sent back: enough for windows to open wide and for a wrong MTU to stall.
const LARGE: usize = 10_000_000;

fn everything_works(masquerade: Masquerade, options: &[&str]) {
    let Some((lab, _dns, tunnel)) = tunnelled_lab_with_dns(options) else { return };
    let container =
        Container::new(&lab, if masquerade == Masquerade::Yes { 17 } else { 18 }, masquerade);
    let _web = http_server(&lab, Place::Internet, SERVER, 8080, "internet");
    let _host = http_server(&lab, Place::Windows, "127.0.0.1", 8081, "host");
    let _echo = python_server(&lab, Place::Internet, programs::UDP_ECHO, &[SERVER, "9000"], 9000);
    let said = |words: &[&str]| {
        let finished = container.run(words);
        assert!(
            finished.succeeded(),
            "{masquerade:?} {options:?} {words:?}: {finished:?} {}",
            tunnel.status()
        );
        finished.stdout.trim().to_owned()
    };
    let curl = |url: &str| said(&["curl", "--silent", "--show-error", "--max-time", "10", url]);
    let at = format!("@{NAT_GATEWAY}");
    for transport in ["+notcp", "+tcp"] {
        assert_eq!(
            said(&["dig", &at, "+short", "+tries=1", "+timeout=8", transport, SERVER_NAME, "A"]),
            SERVER
        );
    }
    assert_eq!(curl(&format!("http://{SERVER}:8080/")), "internet");
    assert_eq!(curl(&format!("http://{SERVER_NAME}:8080/")), "internet");
    assert_eq!(curl("http://host.docker.internal:8081/"), "host");
    said(&["ping", "-c", "1", "-W", "5", SERVER]);
    said(&["ping", "-c", "1", "-W", "5", "-s", "4000", SERVER]);
    let url = format!("http://{SERVER}:8080/");
    let transfer = format!(
        "curl --silent --max-time 30 {url}{LARGE} | curl --silent --max-time 30 --data-binary @- {url}"
    );
    let hash =
        "import hashlib; print(hashlib.sha256((bytes(range(251)) * 39841)[:10000000]).hexdigest())";
    assert_eq!(
        said(&["sh", "-c", &transfer]),
        said(&["python3", "-c", hash]),
        "{masquerade:?} {options:?}"
    );
    for size in ["0", "1472", "1473", "5000", "30000"] {
        assert_eq!(
            said(&["python3", "-c", programs::UDP_ASK, SERVER, "9000", size]),
            size,
            "{masquerade:?} {options:?}"
        );
    }
}

#[test]
fn a_masqueraded_container_reaches_everything() {
    everything_works(Masquerade::Yes, &[]);
}

#[test]
fn a_container_without_masquerade_reaches_everything() {
    everything_works(Masquerade::No, &[]);
}

#[test]
fn containers_need_no_offload() {
    everything_works(Masquerade::Yes, &["--no-offload"]);
    everything_works(Masquerade::No, &["--no-offload"]);
}

#[test]
fn a_container_goes_with_its_guard() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    drop(tunnel);
    let listed = || lab.run(Place::Wsl, &["ip", "netns", "list"]).unwrap().stdout;
    let name = format!("{}-c19", lab.namespace(Place::Wsl));
    let panicked = std::panic::catch_unwind(|| {
        let _container = Container::new(&lab, 19, Masquerade::No);
        assert!(listed().contains(&name));
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.is_err() && !listed().contains(&name), "{}", listed());
}
