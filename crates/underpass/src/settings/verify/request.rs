//! Connections and requests, directly or by a proxy. What a proxy is told is the crate `proxy`'s, what HTTP says `http`'s.

use super::dns::Resolver;
use super::http::{self, End, MOST_BYTES, To, Url};
use super::tls;
use config::settings::verify::Failure;
use futures_util::future::select_ok;
use proxy::{Dialog, Host, Progress, ProxyUrl, Scheme, Target};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Who connects, and how long it waits for each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    pub(super) resolver: &'a Resolver,
    pub(super) patience: Duration,
}

/// By which way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'a> {
    Direct,
    Proxy(&'a ProxyUrl),
}

impl Client<'_> {
    /// How long a connection takes.
    #[expect(clippy::disallowed_methods, reason = "how long it took is told to people")]
    pub(super) async fn reach(self, target: &Target, way: Way<'_>) -> Result<Duration, Failure> {
        let start = Instant::now();
        self.connect(target, way).await?;
        Ok(start.elapsed())
    }

    /// The address that a service sees.
    pub(super) async fn exit(self, url: &Url, way: Way<'_>) -> Result<IpAddr, Failure> {
        let (stream, to) = if let Way::Proxy(proxy) = way
            && !url.secure
            && proxy.scheme() == Scheme::Http
        {
            // As programs do it: such a proxy forwards plain requests itself, and many give no connection to port 80.
            let target = Target { host: proxy.host().clone(), port: proxy.port() };
            (self.connect(&target, Way::Direct).await?, To::Proxy(proxy.credentials()))
        } else {
            (self.connect(&url.target, way).await?, To::Server)
        };
        let asked = async {
            if url.secure {
                ask(tls::wrap(stream, &url.target.host).await?, url, to).await
            } else {
                ask(stream, url, to).await
            }
        };
        let late = || Failure::TimedOut { address: url.to_string(), patience: self.patience };
        let response = timeout(self.patience, asked).await.map_err(|_| late())??;
        match (response.status, response.location) {
            (200..=299, _) => {
                http::address_in(&response.body).ok_or_else(|| Failure::NoAddress { url: url.to_string() })
            }
            (300..=399, Some(location)) => Err(Failure::SendsOn { url: url.to_string(), location }),
            (status, _) => Err(Failure::Status { url: url.to_string(), status }),
        }
    }

    async fn connect(self, target: &Target, way: Way<'_>) -> Result<TcpStream, Failure> {
        match way {
            Way::Direct => self.connect_directly(target).await,
            Way::Proxy(proxy) => {
                let place = Target { host: proxy.host().clone(), port: proxy.port() };
                let mut stream = self.connect_directly(&place).await?;
                let late = || Failure::TimedOut { address: proxy.to_string(), patience: self.patience };
                timeout(self.patience, ask_proxy(&mut stream, proxy, target)).await.map_err(|_| late())??;
                Ok(stream)
            }
        }
    }

    /// To the first address that answers; all are tried at once, as browsers do nearly.
    async fn connect_directly(self, target: &Target) -> Result<TcpStream, Failure> {
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.look_up(name).await.addresses().to_vec(),
        };
        if addresses.is_empty() {
            return Err(Failure::Unresolved { name: target.host.to_string() });
        }
        let connect = |address| Box::pin(self.connect_to(SocketAddr::new(address, target.port)));
        select_ok(addresses.into_iter().map(connect)).await.map(|(stream, _)| stream)
    }

    async fn connect_to(self, to: SocketAddr) -> Result<TcpStream, Failure> {
        let address = to.to_string();
        match timeout(self.patience, TcpStream::connect(to)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Failure::Refused { address }),
            Ok(Err(error)) => Err(Failure::Unreachable { address, why: error.to_string() }),
            Err(_) => Err(Failure::TimedOut { address, patience: self.patience }),
        }
    }
}

async fn ask_proxy(stream: &mut TcpStream, proxy: &ProxyUrl, target: &Target) -> Result<(), Failure> {
    let told = |why: String| Failure::Proxy { proxy: proxy.to_string(), why };
    let mut dialog = Dialog::new(proxy, target);
    let mut buffer = [0; 4096];
    loop {
        stream.write_all(&dialog.output()).await.map_err(|error| told(error.to_string()))?;
        let length = stream.read(&mut buffer).await.map_err(|error| told(error.to_string()))?;
        if length == 0 {
            return Err(told(dialog.closed().to_string()));
        }
        match dialog.input(&buffer[..length]).map_err(|error| told(error.to_string()))? {
            Progress::More => {}
            // Who is asked by TLS or HTTP says nothing first.
            Progress::Done { .. } => return Ok(()),
        }
    }
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    url: &Url,
    to: To<'_>,
) -> Result<http::Response, Failure> {
    let lost = |error: io::Error| Failure::Unreachable { address: url.to_string(), why: error.to_string() };
    stream.write_all(&url.request(to)).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let mut answer = Vec::new();
    loop {
        let end = match stream.read_buf(&mut answer).await {
            Ok(0) if answer.is_empty() => return Err(Failure::Closed { who: url.to_string() }),
            Ok(0) => End::Closed,
            // Some end TLS without saying so (RFC 8446 6.1); what came before is whole or is not.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => End::Closed,
            Err(error) => return Err(lost(error)),
            Ok(_) if answer.len() >= MOST_BYTES => End::Closed,
            Ok(_) => End::Open,
        };
        if let Some(response) = http::read(&answer, end).map_err(|_| Failure::NotHttp { url: url.to_string() })? {
            return Ok(response);
        }
    }
}
