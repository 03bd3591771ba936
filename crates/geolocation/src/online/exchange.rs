use hostatlas_domain::{Address, Limit, Observation, Precision, ProviderName, UnlocatedReason};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::{Answer, Credit, LookupError};

/// What is particular to one online provider: how it is asked and how its answers read. Pure: no call is made here.
pub trait OnlineProvider: Send + Sync + 'static {
    /// Who this is.
    fn name(&self) -> ProviderName;

    /// Where it is asked; without any key.
    fn base_url(&self) -> &Url;

    /// Names the account whose quota is used, without revealing its key: a hash of the key, 0 without one.
    fn account(&self) -> u32;

    /// The ways to ask it, the one for most addresses first; at least one, and the last for single addresses or
    /// more.
    fn endpoints(&self) -> &[Endpoint];

    /// The request about `addresses`, at most [`Endpoint::batch`] of them, to the endpoint at `endpoint`.
    fn request(&self, endpoint: usize, addresses: &[Address]) -> HttpRequest;

    /// What the response to that request says.
    fn parse(&self, endpoint: usize, addresses: &[Address], response: &HttpResponse) -> Reply;

    /// What a person should know of its terms, in a sentence.
    fn terms(&self) -> &'static str;

    /// What its terms ask those to say who show its answers.
    fn credit(&self) -> Option<Credit> {
        None
    }

    /// How finely its answers can place an address. Who knows countries alone is asked when nobody better can be.
    fn finest(&self) -> Precision {
        Precision::City
    }
}

/// One way to ask a provider.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `batch` or `single`; in words for logs.
    pub name: &'static str,
    /// How many addresses one request may ask about; at least 1.
    pub batch: u32,
    /// What every request to it counts against.
    pub limits: Vec<Limit>,
}

/// A request, before anything of it was sent. Its `Debug` shows no key.
#[derive(Clone)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// Whole, with a key only where the provider takes it nowhere else.
    pub url: Url,
    /// Beside those that every request has. Mark those that hold a key as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON.
    pub body: Option<Vec<u8>>,
    /// How many addresses it asks about, by which the answer's size is bounded.
    pub addresses: usize,
}

/// A whole response, decompressed, within its bound.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

/// What a response said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// One answer for each address that was asked about, in that order; or why there is none at all.
    pub answers: Result<Vec<Result<Answer, LookupError>>, Refusal>,
    /// What it told about the limits.
    pub observation: Observation,
}

/// Why a whole call brought nothing. What each means for the addresses: none is burnt, another provider may be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The quota is used up. No failure of the provider.
    #[error("rate limited")]
    RateLimited,
    /// The key or token was refused, or this plan lacks the endpoint: it is not asked again until restarted.
    #[error("{0}")]
    Rejected(String),
    /// It failed, or what stood in between did: 5xx, timed out, cut off.
    #[error("{0}")]
    Unavailable(String),
    /// No connection could be made: nothing was sent, so the provider cannot have counted the call.
    #[error("{0}")]
    Unreached(String),
    /// It answered something that cannot be read as an answer.
    #[error("{0}")]
    Malformed(String),
}

impl Refusal {
    /// The reason under which a host stays unlocated for it.
    pub const fn reason(&self) -> UnlocatedReason {
        match self {
            Self::RateLimited => UnlocatedReason::RateLimited,
            Self::Rejected(_) => UnlocatedReason::Rejected,
            Self::Unavailable(_) | Self::Unreached(_) => UnlocatedReason::Unreachable,
            Self::Malformed(_) => UnlocatedReason::Malformed,
        }
    }
}

impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, url, addresses, .. } = self;
        // A key may stand in the query, or in the path of a service that the operator described.
        let host = url.host_str().unwrap_or_default();
        formatter
            .debug_struct("HttpRequest")
            .field("method", method)
            .field("host", &host)
            .field("addresses", addresses)
            .finish_non_exhaustive()
    }
}
