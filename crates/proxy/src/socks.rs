//! SOCKS5: the choice of a method, user and password (RFC 1929), a request and its reply (RFC
//! 1928).

use crate::error::{DialogError, SocksCode, Speaker};
use crate::target::{Host, Target};
use crate::url::Credentials;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const VERSION: u8 = 5;
/// RFC 1928 section 3.
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
/// Version of the sub-negotiation (RFC 1929 section 2).
const PASSWORD_VERSION: u8 = 1;
/// RFC 1928 section 4, ATYP.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The request (RFC 1928 section 4, CMD).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Connect = 1,
    UdpAssociate = 3,
}

/// The greeting, and the reader of the answers.
pub(crate) fn request(
    command: Command,
    target: &Target,
    credentials: Option<&Credentials>,
) -> (Vec<u8>, AnswerReader) {
    let greeting = match credentials {
        None => vec![VERSION, 1, NO_AUTHENTICATION],
        Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
    };
    let mut request = vec![VERSION, command as u8, 0];
    let request = put_target(&mut request, target).map(|()| request);
    let answer = AnswerReader {
        step: Expected::Method,
        buffer: Vec::new(),
        heard: false,
        credentials: credentials.cloned(),
        request,
    };
    (greeting, answer)
}

/// Appends ATYP, address and port (RFC 1928 sections 4 to 7).
///
/// # Errors
/// A name that is too long for its length byte.
pub(crate) fn put_target(out: &mut Vec<u8>, target: &Target) -> Result<(), DialogError> {
    match &target.host {
        Host::Address(IpAddr::V4(v4)) => {
            out.push(IPV4);
            out.extend(v4.octets());
        }
        Host::Address(IpAddr::V6(v6)) => {
            out.push(IPV6);
            out.extend(v6.octets());
        }
        Host::Name(name) => {
            let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
            let length = length.ok_or(DialogError::NameLength { length: name.len() })?;
            out.extend([NAME, length]);
            out.extend(name.as_bytes());
        }
    }
    out.extend(target.port.to_be_bytes());
    Ok(())
}

/// Takes ATYP, address and port off the front.
pub(crate) fn split_target(bytes: &[u8]) -> Option<(Target, &[u8])> {
    let (kind, bytes) = bytes.split_first()?;
    let (host, bytes) = match *kind {
        IPV4 => bytes
            .split_first_chunk::<4>()
            .map(|(ip, rest)| (Host::Address(Ipv4Addr::from(*ip).into()), rest))?,
        IPV6 => bytes
            .split_first_chunk::<16>()
            .map(|(ip, rest)| (Host::Address(Ipv6Addr::from(*ip).into()), rest))?,
        NAME => {
            let (length, bytes) = bytes.split_first()?;
            let (name, rest) = bytes.split_at_checked(usize::from(*length))?;
            (Host::Name(String::from_utf8_lossy(name).into_owned()), rest)
        }
        _ => return None,
    };
    let (port, rest) = bytes.split_first_chunk::<2>()?;
    Some((Target { host, port: u16::from_be_bytes(*port) }, rest))
}

/// Reads the proxy's answers, one after the other.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    step: Expected,
    /// The current answer; at most 262 bytes.
    buffer: Vec<u8>,
    heard: bool,
    credentials: Option<Credentials>,
    /// The request, sent after authentication.
    request: Result<Vec<u8>, DialogError>,
}

/// The answer that comes next.
#[derive(Debug)]
enum Expected {
    /// To the greeting; then `Password` or `Reply`.
    Method,
    /// To user and password; then `Reply`.
    Password,
    /// To the request; the last one.
    Reply,
}

impl AnswerReader {
    pub(crate) fn heard(&self) -> bool {
        self.heard
    }

    /// Takes a byte, and appends the next request to `output`; returns the bound address with the
    /// last byte of a positive reply.
    pub(crate) fn take(
        &mut self,
        byte: u8,
        output: &mut Vec<u8>,
    ) -> Result<Option<Target>, DialogError> {
        if !self.heard && byte != VERSION {
            return Err(DialogError::NotSocks(Speaker::of(byte)));
        }
        self.heard = true;
        self.buffer.push(byte);
        match (&self.step, &self.buffer[..]) {
            (Expected::Method, [VERSION, method]) => {
                let method = *method;
                self.method(method, output)?;
            }
            (Expected::Password, [_, status]) => {
                // Any other status is a failure (RFC 1929 section 2). Its version byte is not
                // always right.
                if *status != 0 {
                    return Err(DialogError::CredentialsRefused { schemes: String::new() });
                }
                self.send_request(output)?;
            }
            (Expected::Reply, [VERSION, code, ..]) if *code != 0 => {
                return Err(DialogError::Socks(SocksCode(*code)));
            }
            (Expected::Reply, [VERSION, _, _, kind, ..]) if ![IPV4, NAME, IPV6].contains(kind) => {
                return Err(DialogError::Malformed("its reply has an unknown kind of address"));
            }
            (Expected::Reply, [VERSION, _, _, address @ ..]) => {
                return Ok(split_target(address).map(|(bound, _)| bound));
            }
            (Expected::Reply, [first, ..]) if *first != VERSION => {
                return Err(DialogError::Malformed("its reply is not one of version 5"));
            }
            (Expected::Method | Expected::Password | Expected::Reply, _) => {}
        }
        Ok(None)
    }

    fn method(&mut self, method: u8, output: &mut Vec<u8>) -> Result<(), DialogError> {
        match (method, &self.credentials) {
            (NO_AUTHENTICATION, _) => self.send_request(output),
            (USER_AND_PASSWORD, Some(Credentials { user, password })) => {
                output.push(PASSWORD_VERSION);
                for text in [user, password] {
                    // Their lengths were checked when the URL was read.
                    output.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                    output.extend(text.bytes().take(usize::from(u8::MAX)));
                }
                self.buffer.clear();
                self.step = Expected::Password;
                Ok(())
            }
            (NO_METHOD, None) => Err(DialogError::CredentialsNeeded { schemes: String::new() }),
            (NO_METHOD, Some(_)) => Err(DialogError::CredentialsRefused { schemes: String::new() }),
            _ => Err(DialogError::Malformed("it chose a method that was not offered")),
        }
    }

    fn send_request(&mut self, output: &mut Vec<u8>) -> Result<(), DialogError> {
        output.extend(self.request.clone()?);
        self.buffer.clear();
        self.step = Expected::Reply;
        Ok(())
    }
}
