//! The tunnel as a whole: it restores what the VPN cut off, and however it ends, the old network
//! returns.

use lab::addresses::{SERVER, SERVER_V6};
use lab::scene::{PATIENCE, cut_off_lab, http_status, tunnelled_lab, web_server};
use lab::tunnel::send_signal;
use lab::{Place, Tunnel, Vpn, until};
use std::time::Duration;

#[test]
fn what_the_vpn_cut_off_works_through_the_tunnel() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "000", "the VPN is on");
    let _tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert_eq!(http_status(&lab, Place::Wsl, &format!("[{SERVER_V6}]")), "200");
}

#[test]
fn killed_or_stopped_it_leaves_the_old_network() {
    for (signal, code) in [("KILL", None), ("TERM", Some(0)), ("INT", Some(0))] {
        let Some((mut lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
        let _web = web_server(&lab);
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
        let relays = tunnel.relays();
        lab.set_vpn(Vpn::Off).unwrap();
        send_signal(tunnel.process().pid(), signal);
        assert_eq!(
            tunnel.process().exit_code(Duration::from_secs(2)),
            code,
            "{signal}: {}",
            tunnel.complained()
        );
        assert_eq!(
            http_status(&lab, Place::Wsl, SERVER),
            "200",
            "{signal}: the old network is back"
        );
        assert!(
            !lab.run(Place::Wsl, &["ip", "link"]).unwrap().stdout.contains("underpass0"),
            "{signal}"
        );
        let ended = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}/exe")).exists();
        assert!(until(PATIENCE, || relays.iter().all(ended)), "{signal}: a relay is left");
        if code == Some(0) {
            let rules = lab.run(Place::Wsl, &["ip", "rule"]).unwrap().stdout;
            assert!(!rules.contains("30062"), "{signal}: {rules}");
            assert!(!tunnel.runtime_dir().join("control.sock").exists());
        }
        let again = Tunnel::up(&lab, &[]);
        assert_eq!(
            http_status(&lab, Place::Wsl, SERVER),
            "200",
            "{signal}: a second start finds no obstacle"
        );
        drop(again);
    }
}
