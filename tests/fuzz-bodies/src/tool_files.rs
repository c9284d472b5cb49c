//! The settings files of tools: of each format, with a key of its tool.

use config::tools::Format;

const FORMATS: [(Format, &str); 9] = [
    (Format::Git, "http.proxy"),
    (Format::Pip, "global.proxy"),
    (Format::Npmrc, "proxy"),
    (Format::Yarnrc, "proxy"),
    (Format::YarnYaml, "httpProxy"),
    (Format::Curlrc, "proxy"),
    (Format::Wgetrc, "http_proxy"),
    (Format::Toml, "http.proxy"),
    (Format::Json, "proxies.default.httpProxy"),
];

const URL: &str = "http://me:s3cret@proxy.test:3128";

/// Any text as a file of each format: no panic; a value that was set is read again, and a removed
/// one is gone.
pub fn tool_files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (format, key) in FORMATS {
        let had_one = format.get(&text, key).is_some();
        let Ok(set) = format.set(&text, key, Some(URL)) else { continue };
        assert_eq!(format.get(&set, key).as_deref(), Some(URL), "{format:?}: {set:?}");
        assert_eq!(format.set(&set, key, Some(URL)).as_deref(), Ok(&*set), "{format:?}: set twice");
        // The last of several lines for it goes, and the one before counts.
        if !had_one {
            let without = format.set(&set, key, None);
            assert_eq!(without.map(|text| format.get(&text, key)), Ok(None), "{format:?}: {set:?}");
        }
    }
}
