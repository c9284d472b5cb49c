//! Where the log goes: standard error, or a file that never grows beyond its bound.

use crate::colour;
use anyhow::Context as _;
use clap::ColorChoice;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Bytes of a log file; one older file of that size is kept beside it.
const FILE_BYTES: u64 = 1024 * 1024;

/// The log's file, if it goes to one.
static FILE: OnceLock<Mutex<Bounded>> = OnceLock::new();

/// Sends the log to a file, or without one to standard error. `RUST_LOG` goes over `level`.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn start(level: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let is_coloured = colour::is_wanted(ColorChoice::Auto, io::stderr().is_terminal());
    let log = tracing_subscriber::fmt().with_env_filter(filter).fmt_fields(fields());
    // The link's target may be a pipe, or the terminal of the user who called sudo: it is open
    // already.
    match file.filter(|path| *path != Path::new(STANDARD_ERROR)) {
        Some(path) => {
            let file = Bounded::open(path, FILE_BYTES).with_context(|| {
                format!("the log file {} cannot be written: check --log-file", path.display())
            })?;
            let file = FILE.get_or_init(|| Mutex::new(file));
            log.with_writer(move || Shared(file)).with_ansi(false).init();
        }
        None => log.with_writer(io::stderr).with_ansi(is_coloured).init(),
    }
    Ok(())
}

/// Sends the log of a process that `underpass up` started to it: by standard error, which it reads
/// line by line.
pub(crate) fn start_for_supervisor(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(fields())
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
}

/// Writes a line of such a process to this one's log.
pub(crate) fn line(text: &str) {
    let line = format!("{text}\n");
    // A log that cannot be written cannot report its own failure.
    let _ = match FILE.get() {
        Some(file) => Shared(file).write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
}

/// The log's file, for one line.
struct Shared(&'static Mutex<Bounded>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// As `--log-file`: standard error.
const STANDARD_ERROR: &str = "/dev/stderr";

/// How an event's words are written: what others said is in them, such as a relay, and a terminal
/// must not obey it. Colours are written around them, so this cannot be done to the whole line.
fn fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    let one = |writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        let text = format!("{value:?}");
        let text = messages::printable(&text);
        match field.name() {
            "message" => write!(writer, "{text}"),
            name => write!(writer, "{name}={text}"),
        }
    };
    debug_fn(one).delimited(" ")
}

/// A file that is put aside (as `NAME.old`) and started again before it grows beyond a bound.
#[derive(Debug)]
struct Bounded {
    path: PathBuf,
    most: u64,
    file: File,
}

impl Bounded {
    fn open(path: &Path, most: u64) -> io::Result<Self> {
        // Another user's link does not lead the log elsewhere.
        let (folder, name) = foreign::located(path)?;
        let file = folder.append(name)?;
        Ok(Self { path: path.to_path_buf(), most, file })
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Another process that logs here may have put the file aside.
        let mut file = self.file.metadata()?;
        if !fs::metadata(&self.path)
            .is_ok_and(|named| (named.dev(), named.ino()) == (file.dev(), file.ino()))
        {
            *self = Self::open(&self.path, self.most)?;
            file = self.file.metadata()?;
        }
        if file.len() + bytes.len() as u64 > self.most {
            let mut old = self.path.clone().into_os_string();
            old.push(".old");
            let (folder, name) = foreign::located(&self.path)?;
            folder.rename(name, Path::new(&old).file_name().unwrap_or_default())?;
            *self = Self::open(&self.path, self.most)?;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Kept(std::sync::Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_obeys_nothing_that_others_said() {
        for ansi in [false, true] {
            let kept = Kept::default();
            let writer = kept.clone();
            let log =
                tracing_subscriber::fmt().fmt_fields(fields()).with_writer(move || writer.clone());
            tracing::subscriber::with_default(log.with_ansi(ansi).finish(), || {
                let said = "a\u{1b}]0;b\u{9b}2J\u{202e}c";
                tracing::warn!(lane = 0, said, error = %said, "the relay says: {said}\nand more");
            });
            let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            // Only our own words are coloured, not those of others.
            let plain =
                text.replace("\u{1b}[0m", "").replace("\u{1b}[2m", "").replace("\u{1b}[33m", "");
            assert_eq!(messages::printable(&plain), plain, "{text:?}");
            let shown = "the relay says: a\u{fffd}]0;b\u{fffd}2J\u{fffd}c\nand more lane=0 said=";
            assert!(plain.contains(shown) && plain.contains("error=a\u{fffd}]0;b"), "{plain:?}");
        }
    }

    #[test]
    fn the_log_may_go_to_a_device_of_roots_and_to_no_other() {
        let mut log = Bounded::open(Path::new("/dev/null"), 10).unwrap();
        for _ in 0..10 {
            log.write_all(b"0123456789").unwrap();
        }
        assert!(!Path::new("/dev/null.old").exists());
        let socket =
            std::env::temp_dir().join(format!("underpass-log-{}.socket", std::process::id()));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for other in [socket.as_path(), Path::new("/proc"), Path::new("/proc/self")] {
            assert!(Bounded::open(other, 10).is_err(), "{}", other.display());
        }
        fs::remove_file(socket).unwrap();
    }

    #[test]
    fn a_log_file_keeps_the_last_lines_within_its_bound() {
        let path = std::env::temp_dir().join(format!("underpass-log-{}", std::process::id()));
        let old = path.with_extension("old");
        fs::write(&path, "from before\n").unwrap();
        let mut log = Bounded::open(&path, 100).unwrap();
        for line in 0..50 {
            log.write_all(format!("line number {line}\n").as_bytes()).unwrap();
        }
        let (now, before) = (fs::read_to_string(&path).unwrap(), fs::read_to_string(&old).unwrap());
        assert!(now.len() <= 100 && before.len() <= 100, "{now}{before}");
        assert!(now.ends_with("line number 49\n"), "{now}");
        let first: u32 =
            before.lines().next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        let lines: Vec<String> = (first..50).map(|line| format!("line number {line}")).collect();
        assert_eq!(before.lines().chain(now.lines()).collect::<Vec<_>>(), lines, "without a gap");
        // A second process writes to the same two files.
        let mut second = Bounded::open(&path, 100).unwrap();
        for line in 50..100 {
            let log = if line % 2 == 0 { &mut log } else { &mut second };
            log.write_all(format!("line number {line}\n").as_bytes()).unwrap();
        }
        let both = [&old, &path].map(|path| fs::read_to_string(path).unwrap());
        assert!(both.iter().all(|text| text.len() <= 100), "{both:?}");
        let lines: Vec<String> = (93..100).map(|line| format!("line number {line}")).collect();
        assert!(both.concat().ends_with(&(lines.join("\n") + "\n")), "{both:?}");
        fs::remove_file(path).unwrap();
        fs::remove_file(old).unwrap();
    }
}
