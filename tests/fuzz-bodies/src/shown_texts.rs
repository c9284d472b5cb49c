//! Texts from others in the output: without secrets and without terminal control sequences.

use messages::{printable, printable_json, printable_line};

/// Any bytes: no panic, no secret of a URL in a masked text, no control sequence for a terminal.
pub fn shown_texts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let shown = printable(&text);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{shown:?}");
    assert_eq!(printable(&shown), shown, "made printable twice");
    assert!(!printable_line(&text).contains(char::is_control));
    let json = serde_json::to_string(&text).unwrap_or_default();
    let said: Option<String> = serde_json::from_str(&printable_json(&json)).ok();
    assert_eq!(said.as_deref(), Some(&*text), "a JSON string stays unchanged");
    let around = format!("{text} http://me:s3cr3t@host.test/ {text}");
    assert!(
        !proxy::mask(&around).contains("s3cr3t") || text.contains("s3cr3t"),
        "a secret is shown"
    );
}
