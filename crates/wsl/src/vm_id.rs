//! The id of WSL's virtual machine, by which a program on Windows addresses a Hyper-V socket in it.

use crate::program::{Silent, ask};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long `wslinfo` may take: it asks a Windows process.
const WSLINFO_PATIENCE: Duration = Duration::from_secs(2);

/// The digits of a GUID's groups (RFC 9562 section 4).
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// A GUID: groups of lower-case hexadecimal digits, without braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmId(String);

/// A text that is not a GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a VM's id is a GUID, such as 12345678-90ab-cdef-1234-567890abcdef")]
pub struct NotAnId;

impl VmId {
    /// Reads a GUID, with or without braces; case and surrounding blanks are ignored.
    ///
    /// # Errors
    /// The text is something else.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let text = text.trim();
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let groups = bare.split('-');
        let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !groups.clone().map(str::len).eq(GROUPS) || !groups.into_iter().all(is_hex) {
            return Err(NotAnId);
        }
        Ok(Self(bare.to_ascii_lowercase()))
    }

    /// The text of the GUID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for VmId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        Self::parse(&text)
    }
}

impl From<VmId> for String {
    fn from(id: VmId) -> Self {
        id.0
    }
}

/// The id of this VM according to `wslinfo --vm-id`, which exists from WSL 2.5.10 on; `None` in an
/// older WSL and elsewhere. In WSL 1 the answer is `wsl1`, and an older `wslinfo` prints its usage
/// (microsoft/WSL, `src/linux/init/wslinfo.cpp`).
///
/// # Errors
/// It did not answer in time: it asks a Windows process.
pub async fn vm_id() -> Result<Option<VmId>, Silent> {
    let output = ask("wslinfo", &["--vm-id"], WSLINFO_PATIENCE).await?;
    let said = output.filter(|output| output.status.success());
    Ok(said.and_then(|output| VmId::parse(&String::from_utf8_lossy(&output.stdout)).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_form_whichever_was_read() {
        let id = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        for text in [
            id.to_owned(),
            format!("{id}\n"),
            id.to_ascii_uppercase(),
            format!("{{{}}}", id.to_ascii_uppercase()),
        ] {
            let read = VmId::parse(&text).unwrap();
            assert_eq!(read.as_str(), id, "{text:?}");
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<VmId>(&json).unwrap(), read);
        }
    }

    #[test]
    fn other_texts_are_no_id() {
        for text in [
            "",
            "wsl1",
            "Usage: wslinfo",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f99",
            "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "+a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
            "{0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8fg",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
        ] {
            assert_eq!(VmId::parse(text), Err(NotAnId), "{text:?}");
        }
    }
}
