//! Windows' resolver, so that the VM gets the same answers as Windows: from its hosts file, its
//! cache, its order of adapters, and the rules that a VPN sets for single domains (NRPT).
//!
//! `DnsQueryRaw` (Windows 11) takes any message and is tried first. If it is missing or switched
//! off, `DnsQuery_W` answers the types that it knows. Queries that neither can answer go to the
//! adapters' own servers. Neither queries the neighbours by LLMNR or mDNS.

use super::win32::raw_query::{NOT_IMPLEMENTED, NoMessage, RawFunctions, RawQuery, Reading};
use super::win32::{adapters, dns as windows_dns};
use crate::dns::{self, Answer};
use crate::hosts;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Record};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use wire::{AnsweredBy, QueryFailure};

/// How long to wait for Windows' resolver. It queries several servers, each more than once, for
/// about 12 s in all.
const PATIENCE: Duration = Duration::from_secs(15);

/// The port of DNS servers.
const PORT: u16 = 53;

/// The sources of answers.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The file with the host's own names.
    pub hosts: PathBuf,
    pub(crate) functions: Functions,
}

/// Windows' functions, as far as this Windows has them.
#[derive(Clone, Debug)]
pub(crate) struct Functions {
    raw: Option<RawFunctions>,
    /// Raw queries are switched off in this Windows: it reported that once.
    raw_is_off: Arc<AtomicBool>,
    records: Option<windows_dns::RecordFunctions>,
}

impl Functions {
    fn new(raw: Option<RawFunctions>, records: Option<windows_dns::RecordFunctions>) -> Self {
        Self { raw, raw_is_off: Arc::default(), records }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        let root = std::env::var_os("SystemRoot").unwrap_or_else(|| "C:\\Windows".into());
        let hosts = PathBuf::from(root).join("System32\\drivers\\etc\\hosts");
        let functions =
            Functions::new(RawFunctions::load().ok(), windows_dns::RecordFunctions::load().ok());
        Self { hosts, functions }
    }
}

impl Resolver {
    /// Answers a whole DNS message with a whole one, under the same id and never truncated.
    ///
    /// # Errors
    /// Silence is [`QueryFailure::TimedOut`], a host without servers
    /// [`QueryFailure::NoServer`], and a message that is not a query [`QueryFailure::Refused`].
    pub async fn resolve(&self, query: &[u8]) -> Result<Answer, QueryFailure> {
        if !dns::is_query(query) {
            return Err(QueryFailure::Refused);
        }
        if let Some(message) =
            fs::read_to_string(&self.hosts).ok().and_then(|hosts| hosts::answer(&hosts, query))
        {
            return Ok(Answer { by: AnsweredBy::HostsFile, message });
        }
        if let Some(answer) = self.functions.by_raw_query(query).await {
            return answer.map(|message| Answer { by: AnsweredBy::RawQuery, message });
        }
        if let Some(answer) = self.functions.by_records(query).await {
            return answer.map(|message| Answer { by: AnsweredBy::RecordQuery, message });
        }
        let servers: Vec<_> =
            servers().into_iter().map(|server| SocketAddr::new(server, PORT)).collect();
        dns::ask_servers(&servers, query).await
    }
}

impl Functions {
    /// `None` if raw queries are missing or switched off, or if this query cannot be asked that
    /// way.
    async fn by_raw_query(&self, query: &[u8]) -> Option<Result<Vec<u8>, QueryFailure>> {
        if self.raw_is_off.load(Ordering::Relaxed) {
            return None;
        }
        let raw = self.raw?;
        let asked = async {
            match RawQuery::start(raw, query, Reading::Whole).answer().await {
                Err(NoMessage::Refused(NOT_IMPLEMENTED)) => {
                    tracing::debug!("raw DNS queries are switched off in this Windows");
                    self.raw_is_off.store(true, Ordering::Relaxed);
                    Err(NoMessage::Refused(NOT_IMPLEMENTED))
                }
                // Windows refuses messages with records that it does not know, such as EDNS
                // options.
                Err(NoMessage::Refused(code)) => {
                    tracing::debug!(code, "Windows does not take the query whole");
                    RawQuery::start(raw, query, Reading::BestEffort).answer().await
                }
                outcome => outcome,
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(mut message)) => {
                message[..2].copy_from_slice(&query[..2]);
                Some(Ok(message))
            }
            Ok(Err(NoMessage::Failed(code))) => answer_of(query, Vec::new(), code),
            // Neither says anything about the name.
            Ok(Err(NoMessage::Refused(_) | NoMessage::Unusable)) => None,
            Err(_) => Some(Err(QueryFailure::TimedOut)),
        }
    }

    /// `None` for queries that `DnsQuery_W` does not answer.
    async fn by_records(&self, query: &[u8]) -> Option<Result<Vec<u8>, QueryFailure>> {
        let message = Message::from_vec(query).ok()?;
        let [question] = &message.queries[..] else { return None };
        let kind = u16::from(question.query_type());
        let plain =
            message.metadata.op_code == OpCode::Query && question.query_class() == DNSClass::IN;
        if !plain || !windows_dns::KNOWN_TYPES.contains(&kind) {
            return None;
        }
        let functions = self.records?;
        let name = question.name().to_ascii();
        let asked =
            tokio::task::spawn_blocking(move || windows_dns::records(functions, &name, kind));
        match timeout(PATIENCE, asked).await {
            // Windows' list may hold only records of an unknown type.
            Ok(Ok(Ok(records))) if records.is_empty() => None,
            Ok(Ok(Ok(records))) => answer_of(query, records, 0),
            Ok(Ok(Err(code))) => answer_of(query, Vec::new(), code),
            Ok(Err(_)) => None,
            Err(_) => Some(Err(QueryFailure::TimedOut)),
        }
    }
}

/// An answer of records or of Windows' code; `None` for a code that concerns the function, not the
/// name.
fn answer_of(
    query: &[u8],
    records: Vec<Record>,
    code: i32,
) -> Option<Result<Vec<u8>, QueryFailure>> {
    let response = match code {
        // DNS_INFO_NO_RECORDS: the name exists, without a record of that type.
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

/// The servers of all adapters that are up. Those of the adapter that Windows prefers (by its
/// metric) come first.
pub(super) fn servers() -> Vec<std::net::IpAddr> {
    let mut adapters = adapters::adapters().unwrap_or_default();
    adapters.retain(|adapter| adapter.up);
    adapters.sort_by_key(|adapter| adapter.metric);
    let mut servers = Vec::new();
    for server in adapters.into_iter().flat_map(|adapter| adapter.dns_servers) {
        // Windows lists these if no server is set (site-local addresses, deprecated by RFC 3879).
        let placeholder = matches!(server, std::net::IpAddr::V6(v6) if v6.segments()[0] == 0xfec0);
        if !placeholder && !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

#[cfg(test)]
mod tests;
