//! The page in headless Chromium, at the width of a phone and of a desktop: nothing stands out of
//! the page, nothing is fetched. Set UNDERPASS_REPORT_SHOTS to a folder to look at it.

use super::*;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What Debian and others call it.
const NAMES: [&str; 4] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// A folder for profile and pages; it goes when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("underpass-report-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs it to its end; what it printed.
fn run(browser: &Path, folder: &Folder, options: &[&str], page: &Path) -> String {
    let profile = format!("--user-data-dir={}", folder.0.join("profile").display());
    let output = Command::new(browser)
        // Root in a container has no sandbox of its own; the page is ours.
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            &profile,
        ])
        .args(options)
        .arg(format!("file://{}", page.display()))
        .env("HOME", &folder.0)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Tells, in the title, the page's width, whatever stands out of it, and how much was fetched. The
/// parts that are folded are opened first.
const MEASURE: &str = "<script>
addEventListener('load', () => {
  document.querySelectorAll('details').forEach(details => details.open = true);
  const wide = document.documentElement.clientWidth;
  const out = [...document.querySelectorAll('body *')].filter(element => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.right > wide + 0.5 || box.left < -0.5
      || element.scrollWidth > element.clientWidth + 1
      && getComputedStyle(element).display !== 'inline');
  });
  const names = out.map(element => element.tagName + '.' + element.className).join(' ');
  const fetched = performance.getEntriesByType('resource').length;
  document.title = 'measured wide=' + wide + ' scroll=' + document.documentElement.scrollWidth
    + ' out=[' + names + '] fetched=' + fetched;
});
</script>";

/// The page as it is, except for the script that measures, which its policy would block.
fn measured(page: &str) -> String {
    let policy =
        page.split("<meta http-equiv").nth(1).and_then(|rest| rest.split(">\n").next()).unwrap();
    page.replace(&format!("<meta http-equiv{policy}>\n"), "")
        .replace("</head>", &format!("{MEASURE}</head>"))
}

#[test]
fn nothing_stands_out_of_the_page_at_phone_and_desktop_width() {
    let Some(browser) = browser() else {
        let why = format!(
            "there is no {} to open the report in: run scripts/lab-deps tests",
            NAMES.join(" or ")
        );
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "under CI no test may be skipped: {why}"
        );
        let _ = writeln!(std::io::stderr(), "skipped: {why}");
        return;
    };
    let folder = Folder::new("width");
    let shots = std::env::var_os("UNDERPASS_REPORT_SHOTS").map(PathBuf::from);
    let pages = [
        ("broken-en", page_of(&much_to_tell(), Language::English)),
        ("broken-zh", page_of(&much_to_tell(), Language::Chinese)),
        ("well", page_of(&nat(), Language::English)),
    ];
    for (name, page) in pages {
        let file = folder.0.join(format!("{name}.html"));
        fs::write(&file, measured(&page)).unwrap();
        for (width, height) in [(390, 844), (1280, 900)] {
            let size = format!("--window-size={width},{height}");
            let dom = run(&browser, &folder, &[&size, "--dump-dom"], &file);
            let title = dom
                .split("<title>")
                .nth(1)
                .and_then(|rest| rest.split("</title>").next())
                .unwrap_or_default();
            let expected = format!("measured wide={width} scroll={width} out=[] fetched=0");
            assert_eq!(title, expected, "{name} at {width} px");
            if let Some(shots) = &shots {
                let plain = folder.0.join("plain.html");
                fs::write(&plain, &page).unwrap();
                for scheme in ["light", "dark"] {
                    let shot = format!(
                        "--screenshot={}",
                        shots.join(format!("{name}-{width}-{scheme}.png")).display()
                    );
                    let size = format!("--window-size={width},3600");
                    // Blink's own numbers for what the user prefers.
                    let prefers = format!(
                        "--blink-settings=preferredColorScheme={}",
                        u8::from(scheme == "light")
                    );
                    run(&browser, &folder, &[&size, &prefers, &shot], &plain);
                }
            }
        }
    }
}
