//! The needs of every program in the guest: names, connections, datagrams, pings, of both families.

use super::{Bench, Result, ensure, now};
use lab::addresses::{NAT_GATEWAY, SERVER, SERVER_NAME, SERVER_V6};
use lab::programs::UDP_ASK;

/// Bytes fetched and sent back: enough for windows to open wide.
const LARGE: usize = 10_000_000;

pub(super) fn is_cut_off(bench: &mut Bench) -> Result {
    let by_address = format!("curl --silent --max-time 4 http://{SERVER}:8080/");
    let by_name = format!("dig +tries=1 +timeout=3 @{NAT_GATEWAY} {SERVER_NAME}");
    for words in [by_address, by_name] {
        ensure(bench.must(&words).is_err(), || format!("`{words}` works without a tunnel"))?;
    }
    Ok("neither by address nor by name".to_owned())
}

pub(super) fn dns(bench: &mut Bench) -> Result {
    for (options, kind, answer) in
        [("+notcp", "A", SERVER), ("+tcp", "A", SERVER), ("+notcp", "AAAA", SERVER_V6)]
    {
        let words = format!("dig +short +tries=1 +timeout=8 {options} {SERVER_NAME} {kind}");
        let said = bench.must(&words)?;
        ensure(said == answer, || format!("`{words}`: '{said}'"))?;
    }
    let words = "dig +tries=1 +timeout=8 no-such-name.lab.test";
    let said = bench.must(words)?;
    ensure(said.contains("NXDOMAIN"), || format!("`{words}`: {said}"))?;
    Ok("UDP, TCP, A, AAAA, NXDOMAIN".to_owned())
}

pub(super) fn tcp(bench: &mut Bench) -> Result {
    for host in [SERVER, SERVER_NAME] {
        let words = format!("curl --silent --show-error --max-time 10 http://{host}:8080/");
        let said = bench.must(&words)?;
        ensure(said == "internet", || format!("`{words}`: '{said}'"))?;
    }
    // 7: 'failed to connect', at once; 28 would be its time-out.
    let refused = format!("curl --silent --max-time 10 http://{SERVER}:9/; test $? = 7");
    bench.must(&refused)?;
    Ok("by address, by name; a refusal is one".to_owned())
}

pub(super) fn transfer(bench: &mut Bench) -> Result {
    let url = format!("http://{SERVER}:8080/");
    let began = now();
    let down = bench.must(&format!(
        "curl --silent --show-error --max-time 90 --output /run/large {url}{LARGE} && \
         sha256sum /run/large"
    ))?;
    let downloaded = began.elapsed();
    let began = now();
    let up = bench.must(&format!(
        "curl --silent --show-error --max-time 90 --data-binary @/run/large {url}"
    ))?;
    let uploaded = began.elapsed();
    let expected = bench.must(&format!(
        "python3 -c \"import sys; sys.stdout.buffer.write((bytes(range(251)) * {})[:{LARGE}])\" | \
         sha256sum",
        LARGE / 251 + 1
    ))?;
    let hash = expected.split(' ').next().unwrap_or_default();
    ensure(down.starts_with(hash) && up == hash, || {
        format!("down '{down}', up '{up}', expected '{hash}'")
    })?;
    let rate = |took: std::time::Duration| {
        8e-6 * f64::from(u32::try_from(LARGE).unwrap_or(u32::MAX)) / took.as_secs_f64()
    };
    Ok(format!("{:.0} Mbit/s down, {:.0} up (emulated)", rate(downloaded), rate(uploaded)))
}

fn datagrams(bench: &Bench, address: &str, sizes: &[u32]) -> Result {
    for size in sizes {
        let words = format!(
            "cat >/run/ask.py <<'END'\n{UDP_ASK}\nEND\npython3 /run/ask.py {address} 9000 {size}"
        );
        let said = bench.must(&words)?;
        ensure(said == size.to_string(), || format!("{size} bytes to {address}: '{said}'"))?;
    }
    Ok(format!("{sizes:?} bytes"))
}

pub(super) fn udp(bench: &mut Bench) -> Result {
    datagrams(bench, SERVER, &[0, 1400, 1473, 30_000])
}

pub(super) fn ping(bench: &mut Bench) -> Result {
    let said = bench.must(&format!("ping -n -c 3 -i 0.3 -W 5 {SERVER}"))?;
    ensure(said.contains(" 3 received"), || said.clone())?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

pub(super) fn ipv6(bench: &mut Bench) -> Result {
    let said = bench.must(&format!(
        "curl --globoff --silent --show-error --max-time 10 http://[{SERVER_V6}]:8080/"
    ))?;
    ensure(said == "internet by IPv6", || said.clone())?;
    let datagrams = datagrams(bench, SERVER_V6, &[0, 1400])?;
    Ok(format!("TCP, UDP {datagrams}"))
}

/// A kernel without tables for IPv6 puts a route for any table into `main`: none of ours may be
/// left there.
pub(super) fn ipv4_alone(bench: &mut Bench) -> Result {
    let routes = bench.must("ip -6 route show table all default")?;
    ensure(routes.is_empty(), || format!("an IPv6 default route is left: {routes}"))?;
    let request =
        format!("curl --globoff --silent --max-time 10 http://[{SERVER_V6}]:8080/; test $? = 7");
    bench.must(&request)?;
    let status = bench.must("/mnt/wsl/underpass/underpass status")?;
    let line = status.lines().find(|line| line.contains("IPv6"));
    line.map(|line| line.trim().to_owned())
        .ok_or_else(|| format!("status does not say so: {status}"))
}
