//! The programs' messages to each other, and their records, as JSON and TOML.

use config::tools::Kept;
use doctor::facts::Facts;
use doctor::json::Document;
use gateway::config::{Choices, ConfigError};
use gateway::{RelayProgram, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::PathBuf;
use wire::{HostAccessSettings, HostFacts, LinkFailures, LinkOffers, ViaSettings};

/// A document that was read is the same after it is written and read again.
fn document<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(data) else { return };
    let written = serde_json::to_vec(&read).unwrap_or_default();
    assert_eq!(
        serde_json::from_slice::<T>(&written).ok().as_ref(),
        Some(&read),
        "written and read again"
    );
}

/// The records of `proxy off` restore a file, whatever the records and the file contain.
fn kept(data: &[u8]) {
    document::<Kept>(data);
    if let Ok(kept) = serde_json::from_slice::<Kept>(data) {
        let text = String::from_utf8_lossy(data);
        let restored = kept.restore(Some(&text));
        if let Some(text) = &restored.text {
            let again = kept.restore(Some(text));
            assert!(
                again.left.len() <= kept.restore(None).left.len() + restored.left.len(),
                "{again:?}"
            );
        }
    }
}

/// The gateway's settings file: an error shows no secret of the file.
fn configuration(data: &[u8]) {
    const SECRET: &str = "s3cr3t";
    let text = String::from_utf8_lossy(data);
    let file = format!("{text}\nvia = \"http://me:{SECRET}@proxy.test:1\"\n");
    let error = match toml::from_str::<Choices>(&file) {
        Ok(choices) => choices.settle(RelayProgram::given(""), PathBuf::new()).err(),
        Err(source) => Some(ConfigError::Parse { path: PathBuf::new(), source: Box::new(source) }),
    };
    let said = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(!said.contains(SECRET) || text.contains(SECRET), "a secret is shown: {said}");
}

/// Any bytes as each document. The first byte selects the kind.
pub fn documents(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which & 7 {
        0 => document::<Status>(data),
        1 => document::<Facts>(data),
        2 => document::<Document>(data),
        3 => document::<HostFacts>(data),
        4 => {
            document::<ViaSettings>(data);
            document::<LinkOffers>(data);
            document::<LinkFailures>(data);
        }
        5 => document::<HostAccessSettings>(data),
        6 => kept(data),
        _ => configuration(data),
    }
}
