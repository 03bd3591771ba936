//! The one place where a call leaves this machine.

use std::{
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hostatlas_domain::{Address, classify};
use http::{HeaderValue, header};
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use tokio::time::timeout;
use url::{Host, Url};

use super::{HttpRequest, HttpResponse, Refusal};

/// A handshake that takes longer never gets faster.
const CONNECT: Duration = Duration::from_secs(2);
/// From the beginning of the call to the head of the answer.
const FIRST_BYTE: Duration = Duration::from_secs(4);
/// From the beginning of the call to the last byte. Below the ten seconds for which a permit counts as under way.
const WHOLE: Duration = Duration::from_secs(8);
/// Connections that were not used for so long are closed.
const IDLE: Duration = Duration::from_secs(30);
/// The largest answer for one address; the documented ones have at most half of it.
const BYTES_AN_ADDRESS: usize = 4 * 1024;
/// The largest answer at all.
const MOST_BYTES: usize = 8 * 1024 * 1024;

const TOO_LATE: &str = "it did not answer in time";

/// What was being done when a connection broke.
const SENDING: &str = "sending";
const READING: &str = "reading";

/// Sends a request and gives the whole answer, within its bounds of time and size.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The answer, whatever its status; or why there is none, in words that hold neither an address nor a key.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Refusal>;
}

/// How a provider may be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlineOptions {
    /// Whether its name may stand for a private address, as that of a service on the operator's own network does.
    pub allow_private: bool,
}

/// HTTP over the network: no redirects, no cookies, no proxy, and only to public addresses unless allowed.
pub struct HttpTransport {
    client: Result<Client, &'static str>,
    options: OnlineOptions,
}

impl HttpTransport {
    /// A client with connections of its own.
    pub fn new(options: OnlineOptions) -> Self {
        // Somebody else's choice of cryptography stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("hostatlas/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(Resolver { options }))
            .build()
            .map_err(|_| "no TLS client can be made on this machine: are its root certificates installed?");
        Self { client, options }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, Refusal> {
        let client = self.client.as_ref().map_err(|problem| Refusal::Unreached((*problem).to_owned()))?;
        let HttpRequest { method, url, headers, body, addresses } = request;
        check_literal(&url, self.options)?;
        let mut call = client.request(method, url).header(header::ACCEPT, "application/json");
        for (name, value) in headers {
            call = call.header(name, value);
        }
        if let Some(body) = body {
            call = call.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let answer = timeout(FIRST_BYTE, call.send()).await;
        let mut answer = answer.map_err(|_| too_late())?.map_err(|error| refusal(error, SENDING))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bound = addresses.max(1).saturating_mul(BYTES_AN_ADDRESS).min(MOST_BYTES);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| refusal(error, READING))? {
            let room = bound - body.len();
            if chunk.len() > room {
                if status.is_success() {
                    return Err(Refusal::Malformed(format!("its answer is larger than {bound} bytes")));
                }
                // What an error page says beyond that matters to nobody.
                body.extend_from_slice(&chunk[..room]);
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, headers, body })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Refusal> {
        timeout(WHOLE, self.exchange(request)).await.unwrap_or_else(|_| Err(too_late()))
    }
}

fn too_late() -> Refusal {
    Refusal::Unavailable(TOO_LATE.to_owned())
}

fn allowed(ip: IpAddr, options: OnlineOptions) -> bool {
    options.allow_private || classify(Address::from(ip)).is_public()
}

/// An address in the URL itself is never resolved, so the resolver does not see it.
fn check_literal(url: &Url, options: OnlineOptions) -> Result<(), Refusal> {
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(Refusal::Unreached("its address names no host".to_owned())),
    };
    if allowed(ip, options) { Ok(()) } else { Err(Refusal::Unreached(PrivateAddress.to_string())) }
}

/// Resolves names as the system does, and drops the addresses that may not be called.
struct Resolver {
    options: OnlineOptions,
}

#[derive(Debug, thiserror::Error)]
#[error("its name stands for a private address, which is refused unless allowed")]
struct PrivateAddress;

#[derive(Debug, thiserror::Error)]
#[error("its name could not be resolved")]
struct Unresolved;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let options = self.options;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| Unresolved)?;
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                return Err(Unresolved.into());
            }
            let callable: Vec<_> = found.into_iter().filter(|socket| allowed(socket.ip(), options)).collect();
            if callable.is_empty() {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(callable.into_iter()) as Addrs)
        })
    }
}

/// What an error means, in words of ours: the client's own name the whole URL, which may hold a key.
fn refusal(error: reqwest::Error, doing: &str) -> Refusal {
    let error = error.without_url();
    let failed = if error.is_connect() { Refusal::Unreached } else { Refusal::Unavailable };
    if error.is_timeout() {
        return failed(TOO_LATE.to_owned());
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)) && doing == READING
        {
            return Refusal::Malformed("its answer could not be decompressed".to_owned());
        }
        if let Some(words) = words(error) {
            return failed(words);
        }
        cause = error.source();
    }
    failed(match (error.is_connect(), doing) {
        (true, _) => "no connection could be made".to_owned(),
        (false, doing) => format!("the connection broke while {doing}"),
    })
}

fn words(error: &(dyn Error + 'static)) -> Option<String> {
    if error.is::<PrivateAddress>() || error.is::<Unresolved>() {
        return Some(error.to_string());
    }
    if error.is::<rustls::Error>() {
        return Some("its certificate or its TLS was not accepted".to_owned());
    }
    let error = error.downcast_ref::<io::Error>()?;
    if let Some(words) = error.get_ref().and_then(|inner| words(inner)) {
        return Some(words);
    }
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "it refused the connection",
        io::ErrorKind::TimedOut => "it did not answer in time",
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "it cut the connection off",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "it cannot be reached",
        _ => return None,
    };
    Some(words.to_owned())
}
