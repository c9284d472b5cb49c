//! A lab for experiments: makes one with the VPN on, prints the names of its namespaces, and
//! removes it when its standard input ends.

use lab::{Lab, Place, Vpn};
use std::io::{self, Read as _, Write as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(why) = lab::missing() {
        return Err(why.into());
    }
    let mut lab = Lab::new()?;
    let _dns = lab.start_nat_dns()?;
    lab.set_vpn(Vpn::On)?;
    for place in Place::ALL {
        writeln!(io::stdout(), "{place:?}: {}", lab.namespace(place))?;
    }
    writeln!(io::stdout(), "try: ip netns exec {} sh", lab.namespace(Place::Wsl))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
