//! Files with one setting a line: ini files with and without sections, and similar ones. All other
//! lines stay as they are.

/// How a kind of file writes its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// git's: `[section]`, then `\tkey = value`.
    Git,
    /// pip's: `[section]`, then `key = value`.
    Ini,
    /// npm's: `key=value`; what stands below a `[section]` is something else.
    Npmrc,
    /// Yarn 1's: `key "value"`, no section.
    Yarnrc,
    /// Yarn 2's and later: `key: "value"` at the first column.
    Yaml,
    /// curl's: `key = "value"`, or with dashes before, or with a blank or colon between.
    Curlrc,
    /// wget's: `key = value`, where case, dashes and underscores do not count.
    Wgetrc,
}

/// The value of a key, `section.key` where there are sections, and its line, from 1; of several the
/// last, which is the one that counts.
pub(crate) fn get(style: Style, text: &str, key: &str) -> Option<(String, usize)> {
    let (section, key) = split(style, key);
    let found = entries(style, text).filter(|entry| entry.is(section, &key)).last()?;
    let line = text[..found.start].matches('\n').count() + 1;
    Some((found.value, line))
}

/// The text with the key set, or without it. The last line of that key is changed; with none a new
/// one stands at its section's end.
pub(crate) fn set(style: Style, text: &str, key: &str, value: Option<&str>) -> String {
    let (section, name) = split(style, key);
    let found = entries(style, text).filter(|entry| entry.is(section, &name)).last();
    let line = value.map(|value| style.line(&name, value)).unwrap_or_default();
    if let Some(entry) = found {
        // Where the same is said already, the line stays as its author wrote it.
        if value == Some(entry.value.as_str()) {
            return text.to_owned();
        }
        // A last line without an end stays one.
        let is_ended = text[entry.start..entry.end].ends_with('\n');
        let line = if is_ended { line.as_str() } else { line.trim_end_matches('\n') };
        return format!("{}{line}{}", &text[..entry.start], &text[entry.end..]);
    }
    if value.is_none() {
        return text.to_owned();
    }
    let at =
        if section.is_empty() { first_section(style, text) } else { end_of_section(text, section) };
    let (head, tail) = text.split_at(at.unwrap_or(text.len()));
    let end = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
    let header =
        if section.is_empty() || at.is_some() { String::new() } else { format!("[{section}]\n") };
    format!("{head}{end}{header}{line}{tail}")
}

/// Every setting except those of these keys, for a comparison.
pub(crate) fn others(style: Style, text: &str, keys: &[&str]) -> Vec<String> {
    let ours: Vec<(&str, String)> = keys.iter().map(|key| split(style, key)).collect();
    let is_other = |entry: &Entry| !ours.iter().any(|(section, key)| entry.is(section, key));
    let shown = |entry: Entry| {
        format!("{}.{}={}", entry.section.to_ascii_lowercase(), entry.key, entry.value)
    };
    entries(style, text).filter(is_other).map(shown).collect()
}

fn split(style: Style, key: &str) -> (&str, String) {
    match style {
        Style::Git | Style::Ini => {
            let (section, key) = key.split_once('.').unwrap_or(("", key));
            (section, style.normal(key))
        }
        Style::Npmrc | Style::Yarnrc | Style::Yaml | Style::Curlrc | Style::Wgetrc => {
            ("", style.normal(key))
        }
    }
}

struct Entry {
    section: String,
    key: String,
    value: String,
    start: usize,
    end: usize,
}

impl Entry {
    fn is(&self, section: &str, key: &str) -> bool {
        self.section.eq_ignore_ascii_case(section) && self.key == key
    }
}

fn entries(style: Style, text: &str) -> impl Iterator<Item = Entry> {
    let (mut section, mut start) = (String::new(), 0);
    text.split_inclusive('\n').filter_map(move |line| {
        let (from, to) = (start, start + line.len());
        start = to;
        if let Some(name) = style.section_of(line) {
            section = name.to_owned();
            return None;
        }
        let (key, value) = style.entry(line)?;
        Some(Entry { section: section.clone(), key, value, start: from, end: to })
    })
}

/// The name in a line that begins a section.
fn section_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.split_once(']').map(|(name, _)| name.trim())
}

/// Where the first section begins: what belongs to none stands before it.
fn first_section(style: Style, text: &str) -> Option<usize> {
    let mut at = 0;
    text.split_inclusive('\n').find_map(|line| {
        let begin = at;
        at += line.len();
        style.section_of(line).map(|_| begin)
    })
}

/// Where a section's next line belongs: after its last line that is not blank.
fn end_of_section(text: &str, wanted: &str) -> Option<usize> {
    let (mut at, mut end, mut is_in) = (0, None, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        if let Some(name) = section_of(line) {
            is_in = name.eq_ignore_ascii_case(wanted);
        }
        if is_in && !line.trim().is_empty() {
            end = Some(at);
        }
    }
    end
}

impl Style {
    fn section_of(self, line: &str) -> Option<&str> {
        match self {
            Self::Git | Self::Ini | Self::Npmrc => section_of(line),
            Self::Yarnrc | Self::Yaml | Self::Curlrc | Self::Wgetrc => None,
        }
    }

    fn line(self, key: &str, value: &str) -> String {
        match self {
            Self::Git => format!("\t{key} = {value}\n"),
            Self::Ini | Self::Wgetrc => format!("{key} = {value}\n"),
            Self::Npmrc => format!("{key}={value}\n"),
            Self::Yarnrc => format!("{key} \"{value}\"\n"),
            Self::Yaml => format!("{key}: \"{value}\"\n"),
            Self::Curlrc => format!("{key} = \"{value}\"\n"),
        }
    }

    fn normal(self, key: &str) -> String {
        match self {
            // wgetrc's own example file says that these are the same; it is written with
            // underscores.
            Self::Wgetrc => key.to_ascii_lowercase().replace('-', "_"),
            Self::Git | Self::Ini => key.to_ascii_lowercase(),
            Self::Npmrc | Self::Yarnrc | Self::Yaml | Self::Curlrc => key.to_owned(),
        }
    }

    /// Key and value of a line that has them.
    fn entry(self, line: &str) -> Option<(String, String)> {
        let trimmed = line.trim();
        let is_comment = match self {
            Self::Curlrc => trimmed.starts_with(['#', '/', '*']),
            Self::Wgetrc | Self::Yarnrc | Self::Yaml => trimmed.starts_with('#'),
            Self::Git | Self::Ini | Self::Npmrc => trimmed.starts_with(['#', ';']),
        };
        if is_comment || trimmed.is_empty() {
            return None;
        }
        let (key, value) = match self {
            Self::Git | Self::Npmrc | Self::Wgetrc => trimmed.split_once('=')?,
            Self::Ini => trimmed.split_once(['=', ':'])?,
            Self::Yarnrc => trimmed.split_once(char::is_whitespace)?,
            // A line that is indented belongs to another key.
            Self::Yaml if line.starts_with(char::is_whitespace) => return None,
            Self::Yaml => trimmed.split_once(':')?,
            Self::Curlrc => curl_option(trimmed)?,
        };
        Some((self.normal(key.trim()), self.value(value.trim())))
    }

    /// A value as its program understands it.
    fn value(self, value: &str) -> String {
        match self {
            // configparser of Python and wget take quotes for a part of the value.
            Self::Ini | Self::Wgetrc => value.to_owned(),
            // `unsafe` in npm's ini/lib/ini.js: a comment may follow what has no quotes.
            Self::Npmrc => match unquoted(value) {
                plain if plain == value => {
                    value.split([';', '#']).next().unwrap_or_default().trim_end().to_owned()
                }
                inner => inner.to_owned(),
            },
            Self::Curlrc => curl_value(value),
            Self::Git | Self::Yarnrc | Self::Yaml => unquoted(value).to_owned(),
        }
    }
}

/// An option of curl's configuration file and its value: `-x V`, `--proxy V`, `proxy: V`, `proxy
/// V`. After a dash neither `=` nor `:` ends the option (`ISSEP` in curl's src/tool_parsecfg.c).
fn curl_option(line: &str) -> Option<(&str, &str)> {
    let has_dash = line.starts_with('-');
    let is_separator = move |letter: char| {
        letter.is_whitespace() || (!has_dash && (letter == '=' || letter == ':'))
    };
    let (key, rest) = line.split_once(is_separator)?;
    let key = match key {
        "-x" => "proxy",
        key => key.trim_start_matches('-'),
    };
    Some((key, rest.trim_start_matches(is_separator)))
}

/// A value in double quotes, in which a backslash keeps the next letter, or a word (the same file).
fn curl_value(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"') else {
        return value.split_whitespace().next().unwrap_or_default().to_owned();
    };
    let mut letters = quoted.chars();
    let mut inner = String::new();
    while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
        inner.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    inner
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_changed_or_added_and_all_else_stays() {
        use Style as S;
        for (style, key, before, after) in [
            (S::Git, "http.proxy", "", "[http]\n\tproxy = P\n"),
            (
                S::Git,
                "http.proxy",
                "[HTTP]\n\tsslVerify = no\n\n[user]\n",
                "[HTTP]\n\tsslVerify = no\n\tproxy = P\n\n[user]\n",
            ),
            (S::Git, "http.proxy", "[http]\n\tproxy = \"x\" \n", "[http]\n\tproxy = P\n"),
            (
                S::Git,
                "http.proxy",
                "[http \"https://h\"]\n\tproxy = x\n",
                "[http \"https://h\"]\n\tproxy = x\n[http]\n\tproxy = P\n",
            ),
            (S::Ini, "global.proxy", "[global]\ntimeout = 3", "[global]\ntimeout = 3\nproxy = P\n"),
            (
                S::Npmrc,
                "proxy",
                "; proxy=c\nproxy = x\nproxy=y\n",
                "; proxy=c\nproxy = x\nproxy=P\n",
            ),
            (S::Npmrc, "proxy", "a=1\n[b]\nproxy=x\n", "a=1\nproxy=P\n[b]\nproxy=x\n"),
            (S::Npmrc, "proxy", "[b]", "proxy=P\n[b]"),
            (S::Curlrc, "proxy", "[b]\n", "[b]\nproxy = \"P\"\n"),
            (S::Yarnrc, "proxy", "https-proxy \"x\"\n", "https-proxy \"x\"\nproxy \"P\"\n"),
            (
                S::Yaml,
                "httpProxy",
                "npmScopes:\n  httpProxy: x\n",
                "npmScopes:\n  httpProxy: x\nhttpProxy: \"P\"\n",
            ),
            (S::Curlrc, "proxy", "# curl\n-x x\nsilent", "# curl\nproxy = \"P\"\nsilent"),
            (S::Curlrc, "proxy", "silent", "silent\nproxy = \"P\"\n"),
            (S::Wgetrc, "http_proxy", "HTTP-Proxy=x", "http_proxy = P"),
        ] {
            assert_eq!(set(style, before, key, Some("P")), after, "{style:?}");
            assert_eq!(get(style, after, key).unwrap().0, "P", "{style:?}");
            assert_eq!(set(style, after, key, Some("P")), after, "{style:?}: once is enough");
        }
    }

    #[test]
    fn values_are_read_as_their_programs_read_them() {
        use Style as S;
        for (style, key, line, value) in [
            (S::Curlrc, "proxy", "proxy = \"P\"", Some("P")),
            (S::Curlrc, "proxy", "proxy P # why", Some("P")),
            (S::Curlrc, "proxy", "proxy: \"a\\\"b\" # why", Some("a\"b")),
            (S::Curlrc, "proxy", "--proxy P", Some("P")),
            (S::Curlrc, "proxy", "-x P", Some("P")),
            (S::Curlrc, "proxy", "  proxy\t=\tP", Some("P")),
            // Read by curl 7.88.1 as an unknown option, and as a host with quotes.
            (S::Curlrc, "proxy", "--proxy=P", None),
            (S::Curlrc, "proxy", "proxy: 'P'", Some("'P'")),
            (S::Curlrc, "proxy", "; proxy = P", None),
            (S::Curlrc, "proxy", "/ proxy = P", None),
            (S::Git, "http.proxy", "[core]\nproxy = P\n", None),
            // By npm 11.19.1.
            (S::Npmrc, "proxy", "proxy: P\n", None),
            (S::Npmrc, "proxy", "proxy=\"P\"", Some("P")),
            (S::Npmrc, "proxy", "proxy=P ; why", Some("P")),
            (S::Npmrc, "proxy", "proxy=P#why", Some("P")),
            // By pip 23.2.1.
            (S::Ini, "global.proxy", "[global]\nproxy : \"P\"", Some("\"P\"")),
            (S::Ini, "global.proxy", "[global]\nPROXY=P ; why", Some("P ; why")),
            // By wget 1.21.3.
            (S::Wgetrc, "http_proxy", "#http_proxy = P\n", None),
            (S::Wgetrc, "http_proxy", "HTTP-Proxy = \"P\"", Some("\"P\"")),
            (S::Wgetrc, "http_proxy", "http_proxy P", None),
        ] {
            let found = get(style, line, key).map(|(value, _)| value);
            assert_eq!(found.as_deref(), value, "{line}");
        }
        let both = "a = 1\n\nhttp_proxy = P\nhttp_proxy = Q";
        assert_eq!(get(Style::Wgetrc, both, "http_proxy"), Some(("Q".to_owned(), 4)));
    }

    #[test]
    fn a_key_is_taken_out() {
        assert_eq!(set(Style::Npmrc, "a=1\nproxy=P\nb=2\n", "proxy", None), "a=1\nb=2\n");
        assert_eq!(set(Style::Npmrc, "a=1\n", "proxy", None), "a=1\n");
    }
}
