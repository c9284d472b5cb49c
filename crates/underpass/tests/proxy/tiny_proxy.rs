//! A proxy on loopback that answers every request itself, by HTTP and by SOCKS5 on one port, and
//! remembers what it was asked for.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The protocols that it speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Both,
    /// HTTP; it does not answer another protocol.
    HttpOrNothing,
    /// It never answers.
    Nothing,
}

pub(crate) struct TinyProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TinyProxy {
    pub(crate) fn start(speaks: Speaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, over) = (Arc::clone(&asked), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let log = Arc::clone(&log);
                // A client that disconnects is not a fault of the proxy.
                std::thread::spawn(move || stream.and_then(|stream| serve(&stream, speaks, &log)));
            }
        });
        Self { address, asked, is_over, thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for TinyProxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(stream: &TcpStream, speaks: Speaks, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let first = reader.fill_buf()?.first().copied();
    if speaks == Speaks::Nothing
        || (speaks == Speaks::HttpOrNothing && first != Some(b'G') && first != Some(b'C'))
    {
        // Until the client has had enough.
        return io::copy(&mut reader, &mut io::sink()).map(drop);
    }
    if first == Some(5) {
        if speaks == Speaks::Http {
            writer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
            return stream.shutdown(Shutdown::Both);
        }
        let target = socks(&mut reader, &mut writer)?;
        asked.lock().unwrap().push(format!("SOCKS5 {target}"));
    }
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        asked.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
        if head.starts_with("CONNECT ") {
            writer.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            continue;
        }
        writer.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nby proxy",
        )?;
        return stream.shutdown(Shutdown::Write);
    }
}

/// RFC 1928, without authentication.
fn socks(reader: &mut impl io::Read, writer: &mut impl io::Write) -> io::Result<String> {
    let mut take = |count: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        reader.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let methods = take(2)?[1];
    take(methods.into())?;
    writer.write_all(&[5, 0])?;
    let kind = take(4)?[3];
    let host = match kind {
        1 => take(4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        3 => {
            let length = take(1)?[0];
            String::from_utf8_lossy(&take(length.into())?).into_owned()
        }
        _ => format!("{:x?}", take(16)?),
    };
    let port = take(2)?;
    writer.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(format!("{host}:{}", u16::from_be_bytes([port[0], port[1]])))
}
