//! The page by its text, and as a browser shows it.

mod browser;

use super::*;
use crate::checks::judge;
use crate::facts::{Outcome, Tool, Why};
use crate::sample::*;

/// A machine with much to tell: long names, hostile texts, secrets, many findings.
fn much_to_tell() -> Facts {
    let mut facts = nat();
    cut(&mut facts);
    let hostile = "<script src=\"https://evil.example/x.js\"></script><img src=x onerror=alert(1)>";
    vpn(&mut facts, 60).description = hostile.to_owned();
    facts.wsl_conf =
        Some("[interop]\nenabled=false\n# http://li:s3cret@proxy.corp.example:8080\n".to_owned());
    facts.clock.ahead_of_windows_ms = Some(-86_400_000);
    facts
        .windows
        .as_mut()
        .unwrap()
        .host
        .routes
        .extend(["0.0.0.0/1".to_owned(), "128.0.0.0/1".to_owned()]);
    let probe = shut_proxy(&mut facts, "http://li:s3cret@172.28.48.1:7890");
    probe.on_windows_loopback = OK;
    let long = format!("/home/li/{}/.npmrc", "a-folder-with-a-long-name-".repeat(8));
    let probe =
        setting(&mut facts, Tool::Npm, Some(&long), "https-proxy", "http://192.0.2.99:3128");
    probe.opened = Outcome::Failed { why: Why::Other, detail: "x".repeat(300) };
    probe.request = Outcome::NotTried;
    wslconfig(&mut facts, "[wsl2]\nnetworkingMode=mirrored\nfirewall=false\ndnsTunneling=false\n");
    facts
}

fn page_of(facts: &Facts, language: Language) -> String {
    page(facts, &judge(facts, None), language)
}

#[test]
fn nothing_is_fetched_or_run() {
    for language in [Language::English, Language::Chinese] {
        let page = page_of(&much_to_tell(), language);
        let lower = page.to_lowercase();
        // Tags alone: what the machine says may hold all of it, escaped.
        let tags: String =
            lower.split('<').skip(1).filter_map(|tag| tag.split('>').next()).collect();
        for forbidden in
            ["script", "img", "link", "iframe", "src=", "href=", "object", "svg", "style="]
        {
            assert!(!tags.contains(forbidden), "{forbidden}");
        }
        for forbidden in ["url(", "@import", "http:", "https:"] {
            assert!(!STYLE.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn what_the_machine_says_is_escaped() {
    let page = page_of(&much_to_tell(), Language::English);
    assert!(page.contains("&lt;script src=&quot;https://evil.example/x.js&quot;&gt;"));
    assert!(!page.contains("<script") && !page.contains("onerror=alert(1)>"));
    let mut html = Html::default();
    html.element("p", &[("title", "\"><b>")], "a\u{202e}\u{1b}[31m<&>'\"");
    assert_eq!(
        html.into_string(),
        "<p title=\"&quot;&gt;&lt;b&gt;\">a\u{fffd}\u{fffd}[31m&lt;&amp;&gt;&#39;&quot;</p>\n"
    );
}

#[test]
fn no_secret_is_in_the_page() {
    let page = page_of(&much_to_tell(), Language::English);
    assert!(!page.contains("s3cret"));
    assert!(
        page.contains("http://***@172.28.48.1:7890")
            && page.contains("http://***@proxy.corp.example:8080")
    );
}

#[test]
fn the_way_shows_the_broken_hop_and_what_lies_behind() {
    let page = page_of(&much_to_tell(), Language::English);
    let way = page
        .split("<ol class=\"way\">")
        .nth(1)
        .and_then(|rest| rest.split("</ol>").next())
        .unwrap();
    let classes: Vec<&str> =
        way.split("<li class=\"").skip(1).filter_map(|item| item.split('"').next()).collect();
    assert_eq!(
        classes,
        ["works", "behind", "works", "works", "works", "broken", "behind", "behind"]
    );
    assert!(way.contains("broken here"));
}

#[test]
fn every_finding_is_there_with_evidence_cause_and_fix() {
    let facts = much_to_tell();
    let diagnosis = judge(&facts, None);
    assert!(diagnosis.findings.len() >= 6, "{:?}", ids(&facts));
    assert!(
        diagnosis.findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)),
        "{:?}",
        ids(&facts)
    );
    for (language, labels) in [
        (Language::English, ["Seen", "Cause", "Fix"]),
        (Language::Chinese, ["现象", "原因", "解决办法"]),
    ] {
        let page = page(&facts, &diagnosis, language);
        for finding in &diagnosis.findings {
            let article = page.split(&format!("id=\"{}\"", finding.id)).nth(1).unwrap();
            let article = article.split("</article>").next().unwrap();
            for label in labels {
                assert!(article.contains(&format!("<dt>{label}</dt>")), "{}: {label}", finding.id);
            }
            let mut cause = Html::default();
            cause.text(&finding.cause.say(language));
            assert!(article.contains(&cause.into_string()), "{}", finding.id);
        }
    }
}

#[test]
fn the_page_is_whole_in_both_languages() {
    let english = page_of(&nat(), Language::English);
    assert!(
        english.starts_with("<!doctype html>\n<html lang=\"en\">")
            && english.ends_with("</html>\n")
    );
    assert!(english.contains("No problems found") && !english.contains("<article"));
    let chinese = page_of(&nat(), Language::Chinese);
    assert!(chinese.contains("<html lang=\"zh-CN\">") && chinese.contains("一切正常"));
    for tag in ["main", "ol", "li", "dl", "dd", "details", "article", "figure", "p", "span"] {
        for page in [&page_of(&much_to_tell(), Language::English), &english] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

#[test]
fn facts_are_folded_and_whole() {
    let page = page_of(&much_to_tell(), Language::English);
    for (section, part) in [
        ("links", "172.28.48.2/20"),
        ("resolv conf", "nameserver 10.255.255.254"),
        ("windows", "Ethernet 3"),
        ("windows", "firewall=false"),
        ("probes", "1.1.1.1:443"),
        ("interop", "/run/WSL/412_interop"),
    ] {
        let has = |details: &&str| details.starts_with(&format!("<summary>{section}</summary>"));
        let mut sections = page.split("<details>").filter(has);
        assert!(sections.next().is_some_and(|details| details.contains(part)), "{section}: {part}");
    }
    assert!(!page.contains("not-tried") && !page.contains("<details open"));
}
