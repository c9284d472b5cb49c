//! WSL's settings files (any text is one): read like either reader, and changed.

use config::settings::ini::{File, Reader};

/// Keys, each with its section: two of one section, one of another, and one that no file has.
const KEYS: [(&str, &str); 4] =
    [("wsl2", "memory"), ("wsl2", "networkingMode"), ("boot", "command"), ("underpass", "none")];

/// Any bytes as a file: its text stays, a key that was set has its value, a removed one has none,
/// and nothing else changes.
pub fn settings_files(data: &[u8]) {
    let [choice, length, data @ ..] = data else { return };
    let reader = if choice & 1 == 0 { Reader::Windows } else { Reader::Linux };
    let (section, key) = KEYS[usize::from(choice >> 1 & 3)];
    let (value, text) = data.split_at(usize::from(*length).min(data.len()));
    let (value, text) = (String::from_utf8_lossy(value), String::from_utf8_lossy(text));
    let file = File::parse_as(&text, reader);
    assert_eq!(file.to_string(), text, "other text stays");
    let others = |file: &File| -> Vec<(String, String, String)> {
        let all = file.entries().filter(|entry| !entry.is(section, key));
        all.map(|entry| (entry.section.to_owned(), entry.key.to_owned(), entry.value.to_owned()))
            .collect()
    };
    let lines: Vec<usize> = file.entries().map(|entry| entry.line).collect();
    assert!(lines.is_sorted(), "line numbers continue");
    let mut changed = file.clone();
    if changed.set(section, key, &value).is_ok() {
        assert_eq!(changed.get(section, key), Some(&*value), "it was set");
        assert_eq!(others(&changed), others(&file), "other keys changed");
        let again = File::parse_as(&changed.to_string(), reader);
        assert_eq!(again, changed, "written and read again");
    } else {
        assert_eq!(changed, file, "a change that fails changes nothing");
    }
    let mut without = file.clone();
    let count = without.remove(section, key);
    assert_eq!(count, file.entries().filter(|entry| entry.is(section, key)).count());
    assert_eq!(
        (without.get(section, key), others(&without)),
        (None, others(&file)),
        "only that key goes"
    );
}
