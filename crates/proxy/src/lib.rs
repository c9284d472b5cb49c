//! Dialogs with proxies: HTTP CONNECT (RFC 9110 section 9.3.6) and SOCKS5 (RFC 1928).
//!
//! No clock, and I/O only in [`tunnel()`]: bytes come in and go out. The owner of the connection
//! writes [`Dialog::output`], reads, and passes the bytes to [`Dialog::input`], until that returns
//! [`Progress::Done`]; the owner also limits the time. Every answer is bounded ([`MAX_HEADER`]),
//! and the result is the same however the bytes are cut.
#![forbid(unsafe_code)]

mod error;
mod except;
mod http;
mod socks;
mod target;
mod tunnel;
pub mod udp;
mod url;
pub mod windows;

pub use error::{DialogError, Meaning, SocksCode, Speaker};
pub use except::{Except, ExceptError};
pub use target::{Host, Target, TargetError};
pub use tunnel::{TunnelError, tunnel};
pub use url::{Credentials, ProxyUrl, ProxyUrlError, Scheme, mask};

/// Most bytes of an HTTP proxy's answer before the tunnel begins. Ordinary ones are below 1 KiB;
/// pages of refusal are not read.
pub const MAX_HEADER: usize = 16 * 1024;

/// The progress of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Write [`Dialog::output`], if there is any, and read on.
    More,
    /// The connection is established: from here on its bytes are the other side's.
    Done {
        /// Bytes of the other side that came together with the proxy's answer.
        rest: Vec<u8>,
    },
}

/// Requests a connection from a proxy.
#[derive(Debug)]
pub struct Dialog {
    output: Vec<u8>,
    state: DialogState,
}

#[derive(Debug)]
enum DialogState {
    /// May become any of the others.
    Http(http::AnswerReader),
    /// May become any of the others but `Http`.
    Socks(socks::AnswerReader),
    /// Stays so.
    Done,
    /// Stays so.
    Failed(DialogError),
}

impl Dialog {
    /// Starts a dialog for a connection through `proxy` to `target`. Its first bytes are available
    /// at once.
    #[must_use]
    pub fn new(proxy: &ProxyUrl, target: &Target) -> Self {
        match proxy.scheme() {
            Scheme::Http => {
                let (output, answer) = http::connect(target, proxy.credentials());
                Self { output, state: DialogState::Http(answer) }
            }
            Scheme::Socks5 => {
                let (output, answer) =
                    socks::request(socks::Command::Connect, target, proxy.credentials());
                Self { output, state: DialogState::Socks(answer) }
            }
        }
    }

    /// Bytes to send now; each is returned once.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes the proxy's bytes. After [`Progress::Done`] it returns every byte as the other side's.
    ///
    /// # Errors
    /// The proxy's refusal, or why it is not a proxy; the same error again on another
    /// call.
    pub fn input(&mut self, bytes: &[u8]) -> Result<Progress, DialogError> {
        for (n, byte) in bytes.iter().enumerate() {
            let outcome = match &mut self.state {
                DialogState::Http(answer) => answer.take(*byte),
                DialogState::Socks(answer) => {
                    answer.take(*byte, &mut self.output).map(|bound| bound.is_some())
                }
                DialogState::Done => return Ok(Progress::Done { rest: bytes[n..].to_vec() }),
                DialogState::Failed(error) => return Err(error.clone()),
            };
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    self.state = DialogState::Done;
                    return Ok(Progress::Done { rest: bytes[n + 1..].to_vec() });
                }
                Err(error) => self.state = DialogState::Failed(error),
            }
        }
        match &self.state {
            DialogState::Http(_) | DialogState::Socks(_) => Ok(Progress::More),
            DialogState::Done => Ok(Progress::Done { rest: Vec::new() }),
            DialogState::Failed(error) => Err(error.clone()),
        }
    }

    /// The error if the proxy closes the connection now.
    #[must_use]
    pub fn closed(&self) -> DialogError {
        match &self.state {
            DialogState::Http(answer) => DialogError::Closed { heard: answer.heard() },
            DialogState::Socks(answer) => DialogError::Closed { heard: answer.heard() },
            DialogState::Done => DialogError::Closed { heard: true },
            DialogState::Failed(error) => error.clone(),
        }
    }
}

/// The progress of an [`Associate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Associated {
    /// Write [`Associate::output`], if there is any, and read on.
    More,
    /// Datagrams go to this address, each after a [`udp`] header, as long as the connection stands.
    /// An unspecified address stands for the proxy's own.
    Done(Target),
}

/// Requests a SOCKS5 proxy to pass datagrams on (RFC 1928 section 4, UDP ASSOCIATE).
#[derive(Debug)]
pub struct Associate {
    output: Vec<u8>,
    answer: socks::AnswerReader,
}

impl Associate {
    /// `None` if the proxy's protocol has no such command (HTTP).
    #[must_use]
    pub fn new(proxy: &ProxyUrl) -> Option<Self> {
        if proxy.scheme() != Scheme::Socks5 {
            return None;
        }
        // The source of our datagrams is not known yet: then all zeros are sent (RFC 1928 section
        // 4).
        let anywhere =
            Target { host: Host::Address(std::net::Ipv4Addr::UNSPECIFIED.into()), port: 0 };
        let (output, answer) =
            socks::request(socks::Command::UdpAssociate, &anywhere, proxy.credentials());
        Some(Self { output, answer })
    }

    /// Bytes to send now; each is returned once.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes the proxy's bytes. It sends nothing after its last answer.
    ///
    /// # Errors
    /// The proxy's refusal, or why it is not a proxy.
    pub fn input(&mut self, bytes: &[u8]) -> Result<Associated, DialogError> {
        for byte in bytes {
            if let Some(bound) = self.answer.take(*byte, &mut self.output)? {
                return Ok(Associated::Done(bound));
            }
        }
        Ok(Associated::More)
    }

    /// The error if the proxy closes the connection now.
    #[must_use]
    pub fn closed(&self) -> DialogError {
        DialogError::Closed { heard: self.answer.heard() }
    }
}
