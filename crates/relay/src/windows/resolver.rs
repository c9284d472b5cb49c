//! Windows' resolver, so that the VM sees what Windows sees: its hosts file, its cache, its order of adapters, and the rules that a VPN
//! sets for single domains (NRPT).
//!
//! `DnsQueryRaw` (Windows 11) takes any message and is asked first. Where it is missing, `DnsQuery_W` answers the types that it knows;
//! what neither can answer goes to the adapters' own servers.

use super::win32::{adapters, dns as windows_dns};
use crate::dns::{self, Answer};
use crate::hosts;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Record};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;
use wire::{AnsweredBy, QueryFailure};

/// How long Windows' resolver is waited for. It asks several servers, each more than once, for some 12 s in all.
const PATIENCE: Duration = Duration::from_secs(15);

/// The port of DNS servers.
const PORT: u16 = 53;

/// Where the answers come from.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The file with the host's own names.
    pub hosts: PathBuf,
}

impl Default for Resolver {
    fn default() -> Self {
        let root = std::env::var_os("SystemRoot").unwrap_or_else(|| "C:\\Windows".into());
        Self { hosts: PathBuf::from(root).join("System32\\drivers\\etc\\hosts") }
    }
}

impl Resolver {
    /// Answers a whole DNS message with a whole one, under the same id and never truncated.
    ///
    /// # Errors
    /// Silence is [`QueryFailure::TimedOut`], a host without servers [`QueryFailure::NoServer`], and [`QueryFailure::Refused`] is a message
    /// that is no query.
    pub async fn resolve(&self, query: &[u8]) -> Result<Answer, QueryFailure> {
        if !dns::is_query(query) {
            return Err(QueryFailure::Refused);
        }
        if let Some(message) = fs::read_to_string(&self.hosts).ok().and_then(|hosts| hosts::answer(&hosts, query)) {
            return Ok(Answer { by: AnsweredBy::HostsFile, message });
        }
        if let Some(answer) = by_raw_query(query).await {
            return answer.map(|message| Answer { by: AnsweredBy::RawQuery, message });
        }
        if let Some(answer) = by_records(query).await {
            return answer.map(|message| Answer { by: AnsweredBy::RecordQuery, message });
        }
        let servers: Vec<_> = servers().into_iter().map(|server| SocketAddr::new(server, PORT)).collect();
        dns::ask_servers(&servers, query).await
    }
}

/// `None` where Windows has no such function, or one that does nothing.
async fn by_raw_query(query: &[u8]) -> Option<Result<Vec<u8>, QueryFailure>> {
    let answer = windows_dns::query_raw(query)?;
    match timeout(PATIENCE, answer).await {
        Ok(Ok(Ok(mut message))) if message.len() >= 2 => {
            message[..2].copy_from_slice(&query[..2]);
            Some(Ok(message))
        }
        Ok(Ok(Err(windows_dns::NOT_IMPLEMENTED))) => None,
        Ok(Ok(Err(code))) => told(query, Vec::new(), code),
        // Without a word, or with less than a header.
        Ok(Ok(Ok(_)) | Err(_)) => None,
        Err(_) => Some(Err(QueryFailure::TimedOut)),
    }
}

/// `None` for what `DnsQuery_W` does not answer.
async fn by_records(query: &[u8]) -> Option<Result<Vec<u8>, QueryFailure>> {
    let message = Message::from_vec(query).ok()?;
    let [question] = &message.queries[..] else { return None };
    let kind = u16::from(question.query_type());
    let plain = message.metadata.op_code == OpCode::Query && question.query_class() == DNSClass::IN;
    if !plain || !windows_dns::KNOWN_TYPES.contains(&kind) {
        return None;
    }
    let name = question.name().to_ascii();
    let asked = tokio::task::spawn_blocking(move || windows_dns::records(&name, kind));
    match timeout(PATIENCE, asked).await {
        // Windows' list may hold only what it does not know how to write.
        Ok(Ok(Ok(records))) if records.is_empty() => None,
        Ok(Ok(Ok(records))) => told(query, records, 0),
        Ok(Ok(Err(code))) => told(query, Vec::new(), code),
        Ok(Err(_)) => None,
        Err(_) => Some(Err(QueryFailure::TimedOut)),
    }
}

/// An answer of records or of Windows' code; `None` for a code that says nothing of the name, but of the function.
fn told(query: &[u8], records: Vec<Record>, code: i32) -> Option<Result<Vec<u8>, QueryFailure>> {
    let response = match code {
        // DNS_INFO_NO_RECORDS: the name is there, and has nothing of that type.
        0 | 9501 => ResponseCode::NoError,
        // DNS_ERROR_RCODE_SERVER_FAILURE, _NAME_ERROR, _REFUSED
        9002 => ResponseCode::ServFail,
        9003 => ResponseCode::NXDomain,
        9005 => ResponseCode::Refused,
        // ERROR_TIMEOUT, WSAETIMEDOUT
        1460 | 10060 => return Some(Err(QueryFailure::TimedOut)),
        // DNS_ERROR_NO_DNS_SERVERS
        9852 => return Some(Err(QueryFailure::NoServer)),
        code => {
            tracing::debug!(code, "Windows' resolver cannot be asked for this");
            return None;
        }
    };
    let mut answer = Message::from_vec(query).ok()?;
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.response_code = response;
    answer.metadata.recursion_available = true;
    answer.answers = records;
    answer.to_vec().ok().map(Ok)
}

/// The servers of all adapters that are up, those of the adapter first that Windows prefers (by its metric).
pub(super) fn servers() -> Vec<std::net::IpAddr> {
    let mut adapters = adapters::adapters().unwrap_or_default();
    adapters.retain(|adapter| adapter.up);
    adapters.sort_by_key(|adapter| adapter.metric);
    let mut servers = Vec::new();
    for server in adapters.into_iter().flat_map(|adapter| adapter.dns_servers) {
        // Windows names these where nothing is set (site-local addresses, deprecated by RFC 3879).
        let placeholder = matches!(server, std::net::IpAddr::V6(v6) if v6.segments()[0] == 0xfec0);
        if !placeholder && !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use hickory_proto::rr::{Name, RecordType};
    use std::str::FromStr as _;

    fn query() -> Vec<u8> {
        let mut query = Message::new(0x1234, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_str("name.test.").unwrap(), RecordType::A));
        query.to_vec().unwrap()
    }

    #[test]
    fn codes_of_windows_keep_their_kind() {
        for (code, response) in [
            (9501, ResponseCode::NoError),
            (9002, ResponseCode::ServFail),
            (9003, ResponseCode::NXDomain),
            (9005, ResponseCode::Refused),
        ] {
            let answer = Message::from_vec(&told(&query(), Vec::new(), code).unwrap().unwrap()).unwrap();
            assert_eq!((answer.metadata.id, answer.metadata.response_code), (0x1234, response), "{code}");
            assert_eq!(answer.queries.len(), 1);
        }
        assert_eq!(told(&query(), Vec::new(), 1460), Some(Err(QueryFailure::TimedOut)));
        assert_eq!(told(&query(), Vec::new(), 9852), Some(Err(QueryFailure::NoServer)));
        for another_way in [9004, 9502, 123] {
            assert_eq!(told(&query(), Vec::new(), another_way), None, "{another_way}");
        }
    }

    #[tokio::test]
    async fn the_hosts_file_comes_first() {
        let hosts = std::env::temp_dir().join(format!("underpass-hosts-{}", std::process::id()));
        fs::write(&hosts, "192.0.2.9 name.test\r\n").unwrap();
        let answer = Resolver { hosts: hosts.clone() }.resolve(&query()).await.unwrap();
        fs::remove_file(hosts).unwrap();
        assert_eq!(answer.by, AnsweredBy::HostsFile);
        assert!(Message::from_vec(&answer.message).unwrap().answers[0].to_string().contains("192.0.2.9"));
        assert_eq!(Resolver::default().resolve(b"no query at all").await, Err(QueryFailure::Refused));
    }
}
