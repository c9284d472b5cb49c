//! QEMU's monitor (QMP): one JSON object a line, each way; events come between the answers.

use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// QEMU answers at once, however busy its guest is.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub(crate) struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// Connects, and leaves the mode in which only capabilities can be negotiated.
    pub(crate) fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut monitor = Self(BufReader::new(stream));
        let _greeting = monitor.line()?;
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Runs a command without arguments, such as `stop`.
    pub(crate) fn execute(&mut self, command: &str) -> io::Result<()> {
        let line = format!("{}\n", json!({ "execute": command }));
        self.0.get_mut().write_all(line.as_bytes())?;
        loop {
            let answer = self.line()?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(format!("{command}: {error}")));
            }
        }
    }

    fn line(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;

    #[test]
    fn an_answer_is_found_among_events_and_an_error_is_reported() {
        let socket = std::env::temp_dir().join(format!("underpass-monitor-{}", std::process::id()));
        let listener = UnixListener::bind(&socket).unwrap();
        let qemu = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"QMP\":{}}\n").unwrap();
            let mut asked = Vec::new();
            let answers = [
                "{\"return\":{}}",
                "{\"event\":\"STOP\"}\n{\"return\":{}}",
                "{\"error\":{\"class\":\"x\"}}",
            ];
            for answer in answers {
                let mut line = String::new();
                BufReader::with_capacity(1, &stream).read_line(&mut line).unwrap();
                asked.push(line);
                stream.write_all(format!("{answer}\n").as_bytes()).unwrap();
            }
            asked
        });
        let mut monitor = Monitor::connect(&socket).unwrap();
        monitor.execute("stop").unwrap();
        assert!(monitor.execute("no-such").unwrap_err().to_string().contains("no-such"));
        assert_eq!(qemu.join().unwrap()[1], "{\"execute\":\"stop\"}\n");
        std::fs::remove_file(&socket).unwrap();
    }
}
