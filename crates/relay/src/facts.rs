//! The host's facts as one frame holds them. What the host says is its own affair: `linux/facts.rs`, `windows/facts.rs`.

use wire::HostFacts;
use wire::limits::MAX_PAYLOAD;

/// The facts as JSON, at most [`MAX_PAYLOAD`] bytes. A host that says more loses what is least needed: its settings file, then
/// adapters and routes from the end of their lists.
pub(crate) fn to_json(mut facts: HostFacts) -> Vec<u8> {
    loop {
        let json = serde_json::to_vec(&facts).unwrap_or_default();
        if json.len() <= MAX_PAYLOAD {
            return json;
        }
        tracing::debug!(bytes = json.len(), "the host's facts are more than a frame holds");
        if facts.wslconfig.take().is_none() {
            facts.adapters.truncate(facts.adapters.len() / 2);
            facts.routes.truncate(facts.routes.len() / 2);
            facts.dns_servers.truncate(8);
            facts.system.truncate(facts.system.floor_char_boundary(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::facts::WslConfig;

    #[test]
    fn any_host_fits_a_frame() {
        let many = HostFacts {
            system: "x".repeat(100_000),
            routes: (0..20_000).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect(),
            wslconfig: Some(WslConfig { path: "C:".to_owned(), text: Some("\u{1}".repeat(16 * 1024)) }),
            ..HostFacts::default()
        };
        let json = to_json(many);
        assert!(json.len() <= MAX_PAYLOAD);
        let read: HostFacts = serde_json::from_slice(&json).unwrap();
        assert!(read.routes.len() > 1000 && read.wslconfig.is_none());
        let few = HostFacts { routes: vec!["10.0.0.0/8".to_owned()], ..HostFacts::default() };
        assert_eq!(serde_json::from_slice::<HostFacts>(&to_json(few.clone())).unwrap(), few);
    }
}
