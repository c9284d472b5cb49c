//! TLS as a client that trusts what this distro trusts: a company's own certificate counts once it
//! is installed here, as it does for curl.

use crate::failure::Failure;
use proxy::Host;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Speaks TLS with a host over a connection to it.
pub(crate) async fn wrap(stream: TcpStream, host: &Host) -> Result<TlsStream<TcpStream>, Failure> {
    let failure = |why: String| Failure::Tls { host: host.to_string(), why };
    let name = match host {
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|error| failure(error.to_string()))?
        }
        Host::Address(address) => ServerName::IpAddress((*address).into()),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failure(error.to_string()))?;
    let config = config.with_root_certificates(roots()).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map_err(|error| failure(error.to_string()))
}

/// The distro's certificates (SSL_CERT_FILE and SSL_CERT_DIR go over it); where it has none,
/// Mozilla's.
fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
