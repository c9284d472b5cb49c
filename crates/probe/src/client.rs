//! Connections and requests, directly or by a proxy: the crate `proxy` says what a proxy hears,
//! [`http`] what HTTP says.

use crate::dns;
use crate::failure::Failure;
use crate::http::{self, End, MOST_BYTES, To, Url};
use crate::resolver::Resolver;
use crate::tls;
use futures_util::future::select_ok;
use proxy::{Host, ProxyUrl, Scheme, Target, tunnel};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of an answer's first line.
const MOST_LINE: usize = 4096;

/// A client: the way by which it connects, and how long it waits for each step.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Knows where hosts are.
    pub names: Names<'a>,
    /// For each step.
    pub patience: Duration,
}

/// Who resolves names.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// The system, as programs ask it.
    System,
    /// The servers of a resolv.conf.
    By(&'a Resolver),
}

/// The result of a request through a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// An answer, by its first line.
    Answer(String),
    /// The proxy has connected to this target. What follows would be TLS.
    Tunnel(Target),
}

/// By which way.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// By none.
    Direct,
    /// By this proxy.
    Proxy(&'a ProxyUrl),
}

impl Client<'_> {
    /// How long a connection takes.
    ///
    /// # Errors
    /// See [`Failure`].
    #[expect(clippy::disallowed_methods, reason = "people see how long it took")]
    pub async fn reach(self, target: &Target, way: Way<'_>) -> Result<Duration, Failure> {
        let start = Instant::now();
        self.connect(target, way).await?;
        Ok(start.elapsed())
    }

    /// The address that a service sees.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn exit(self, url: &Url, way: Way<'_>) -> Result<IpAddr, Failure> {
        let (stream, to) = self.for_request(url, way).await?;
        let asked = async {
            if url.is_https {
                ask(tls::wrap(stream, &url.target.host).await?, url, to).await
            } else {
                ask(stream, url, to).await
            }
        };
        let late = || Failure::TimedOut { address: url.to_string(), patience: self.patience };
        let response = timeout(self.patience, asked).await.map_err(|_| late())??;
        match (response.status, response.location) {
            (200..=299, _) => http::address_in(&response.body)
                .ok_or_else(|| Failure::NoAddress { url: url.to_string() }),
            (300..=399, Some(location)) => Err(Failure::SendsOn { url: url.to_string(), location }),
            (status, _) => Err(Failure::Status { url: url.to_string(), status }),
        }
    }

    /// A request through a proxy, as programs make it; `name` is the server's, also where the URL
    /// has its address. A page with TLS is not asked for: the connection to its server decides.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn page(self, url: &Url, name: &Host, proxy: &ProxyUrl) -> Result<Page, Failure> {
        if url.is_https {
            self.connect(&url.target, Way::Proxy(proxy)).await?;
            return Ok(Page::Tunnel(url.target.clone()));
        }
        let (stream, to) = self.for_request(url, Way::Proxy(proxy)).await?;
        let late = || Failure::TimedOut { address: url.to_string(), patience: self.patience };
        let request = url.request(name, to);
        let line = first_line(stream, url, &request);
        timeout(self.patience, line).await.map_err(|_| late())?.map(Page::Answer)
    }

    /// The connection for a request, and whom the request is written for. An HTTP proxy forwards
    /// plain requests itself, and many give no connection to port 80.
    async fn for_request<'a>(
        self,
        url: &Url,
        way: Way<'a>,
    ) -> Result<(TcpStream, To<'a>), Failure> {
        if let Way::Proxy(proxy) = way
            && !url.is_https
            && proxy.scheme() == Scheme::Http
        {
            let stream = self.connect(&place_of(proxy), Way::Direct).await?;
            return Ok((stream, To::Proxy(proxy.credentials())));
        }
        Ok((self.connect(&url.target, way).await?, To::Server))
    }

    async fn connect(self, target: &Target, way: Way<'_>) -> Result<TcpStream, Failure> {
        match way {
            Way::Direct => self.connect_directly(target).await,
            Way::Proxy(proxy) => {
                let mut stream = self.connect_directly(&place_of(proxy)).await?;
                match timeout(self.patience, tunnel(&mut stream, proxy, target)).await {
                    Ok(Ok(())) => Ok(stream),
                    Ok(Err(error)) => {
                        Err(Failure::Proxy { proxy: proxy.to_string(), why: error.to_string() })
                    }
                    Err(_) => Err(Failure::TimedOut {
                        address: proxy.to_string(),
                        patience: self.patience,
                    }),
                }
            }
        }
    }

    /// To the first address that answers; all are tried at once, as browsers do nearly.
    async fn connect_directly(self, target: &Target) -> Result<TcpStream, Failure> {
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match self.names {
                Names::System => dns::addresses(&target.host).await,
                Names::By(resolver) => resolver.look_up(name).await.addresses().to_vec(),
            },
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
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Err(Failure::Refused { address })
            }
            Ok(Err(error)) => Err(Failure::Unreachable { address, why: error.to_string() }),
            Err(_) => Err(Failure::TimedOut { address, patience: self.patience }),
        }
    }
}

/// Where a proxy listens.
#[must_use]
pub fn place_of(proxy: &ProxyUrl) -> Target {
    Target { host: proxy.host().clone(), port: proxy.port() }
}

/// A stream's end in the middle of a request.
fn lost(url: &Url, error: &io::Error) -> Failure {
    Failure::Unreachable { address: url.to_string(), why: error.to_string() }
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    url: &Url,
    to: To<'_>,
) -> Result<http::Response, Failure> {
    let lost = |error: io::Error| lost(url, &error);
    stream.write_all(&url.request(&url.target.host, to)).await.map_err(lost)?;
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
        if let Some(response) =
            http::read(&answer, end).map_err(|_| Failure::NotHttp { url: url.to_string() })?
        {
            return Ok(response);
        }
    }
}

/// Sends a request, and gives the answer's first line.
async fn first_line(mut stream: TcpStream, url: &Url, request: &[u8]) -> Result<String, Failure> {
    let lost = |error: io::Error| lost(url, &error);
    stream.write_all(request).await.map_err(lost)?;
    let mut heard = Vec::new();
    loop {
        if let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            return Ok(String::from_utf8_lossy(&heard[..end]).trim_end().to_owned());
        }
        if heard.len() >= MOST_LINE {
            return Err(Failure::NotHttp { url: url.to_string() });
        }
        if stream.read_buf(&mut heard).await.map_err(lost)? == 0 {
            return Err(Failure::Closed { who: url.to_string() });
        }
    }
}
