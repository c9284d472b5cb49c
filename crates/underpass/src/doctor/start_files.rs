//! Lines of shells' start files by which proxy variables come to be, so that a fix can name the
//! line.

use super::remembered::start_files;
use doctor::facts::StartLine;
use std::path::Path;
use wsl::files::text;

/// Variables that name a proxy, in small letters.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// Lines that set a proxy variable, or that set a variable to what resolv.conf says.
pub(super) fn lines(home: &Path, root: &Path) -> Vec<StartLine> {
    let texts =
        start_files(home, root).filter_map(|path| Some((path.display().to_string(), text(&path)?)));
    texts.flat_map(|(file, text)| lines_of(&file, &text)).collect()
}

fn lines_of(file: &str, text: &str) -> Vec<StartLine> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    let found = lines.filter_map(|(index, line)| {
        let variable = assigned(line)?;
        let is_proxy = PROXIES.iter().any(|name| variable.eq_ignore_ascii_case(name));
        (is_proxy || line.contains("resolv.conf")).then(|| StartLine {
            file: file.to_owned(),
            line: index + 1,
            variable: variable.to_owned(),
            text: line.trim().to_owned(),
        })
    });
    found.collect()
}

/// The variable that a line sets first: `export NAME=…`, `local NAME=…`, `NAME=…`, or fish's `set
/// -gx NAME …`.
fn assigned(line: &str) -> Option<&str> {
    let is_name = |word: &&str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !word.starts_with(|first: char| first.is_ascii_digit())
    };
    let mut words = line.split_whitespace();
    let first = words.next()?;
    if first == "set" {
        return words.find(|word| !word.starts_with('-')).filter(is_name);
    }
    let word = if ["export", "local", "declare", "typeset"].contains(&first) {
        words.find(|word| !word.starts_with('-'))?
    } else {
        first
    };
    word.split_once('=').map(|(name, _)| name).filter(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_set_a_proxy_or_read_resolv_conf_are_found() {
        let text = "# export http_proxy=x\n\
                    export WINDOWS_HOST=$(cat /etc/resolv.conf | grep nameserver | awk '{print \
                    $2}')\n\
                    export HTTPS_PROXY=\"http://${WINDOWS_HOST}:7890\"\n\
                    \tlocal host=`grep nameserver /etc/resolv.conf`\n\
                    cat /etc/resolv.conf\n\
                    set -gx all_proxy socks5://192.0.2.1:1080\n\
                    http_proxyish=1\n\
                    no_proxy=localhost\n";
        let found: Vec<(usize, String)> = lines_of("/h/.bashrc", text)
            .into_iter()
            .map(|line| (line.line, line.variable))
            .collect();
        let expected = [(2, "WINDOWS_HOST"), (3, "HTTPS_PROXY"), (4, "host"), (6, "all_proxy")];
        assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
    }
}
