//! What every provider is, around the part in which they differ.

use std::sync::Arc;

use hostatlas_domain::{Address, Precision, ProviderName};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use super::{
    configuration::{Key, account},
    json::Json,
    reply::{Answers, Patience, observe},
};
use crate::{
    Credit, LookupError,
    online::{Endpoint, HttpRequest, HttpResponse, OnlineProvider, Refusal, Reply},
};

/// How one provider is asked and how its answers read.
pub trait Protocol: Send + Sync + 'static {
    /// The request about `addresses` to `endpoint`.
    fn request(&self, base: &Url, endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest;

    /// What the body of a response says. A body that is no JSON comes as the reason why not.
    fn read(
        &self,
        endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal>;

    /// How finely its answers can place an address.
    fn finest(&self) -> Precision {
        Precision::City
    }
}

/// A provider: a protocol, and where, with which key and within which limits it is spoken.
pub struct Service<P> {
    /// Who.
    pub name: ProviderName,
    /// Where.
    pub base_url: Url,
    /// With which key; to find its account, and to keep it out of messages.
    pub key: Option<Key>,
    /// The ways to ask.
    pub endpoints: Vec<Endpoint>,
    /// How its limits read.
    pub patience: Patience,
    /// What a person should know.
    pub terms: &'static str,
    /// What its terms ask those to say who show its answers.
    pub credit: Option<Credit>,
    /// How.
    pub protocol: P,
}

impl<P: Protocol> Service<P> {
    /// As the pool asks it.
    pub fn shared(self) -> Arc<dyn OnlineProvider> {
        Arc::new(self)
    }

    /// A provider may repeat our key in what it says of it.
    fn without_key(&self, text: &mut String) {
        if let Some(key) = &self.key
            && text.contains(key.expose())
        {
            *text = text.replace(key.expose(), "[key]");
        }
    }

    fn redact(&self, answers: &mut Result<Answers, Refusal>) {
        match answers {
            Ok(answers) => {
                for answer in answers {
                    if let Err(LookupError::Malformed { detail }) = answer {
                        self.without_key(detail);
                    }
                }
            }
            Err(
                Refusal::Rejected(text)
                | Refusal::Unavailable(text)
                | Refusal::Unreached(text)
                | Refusal::Malformed(text),
            ) => {
                self.without_key(text);
            }
            Err(Refusal::RateLimited) => {}
        }
    }
}

impl<P: Protocol> OnlineProvider for Service<P> {
    fn name(&self) -> ProviderName {
        self.name
    }

    fn base_url(&self) -> &Url {
        &self.base_url
    }

    fn account(&self) -> u32 {
        account(self.key.as_ref())
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn request(&self, endpoint: usize, addresses: &[Address]) -> HttpRequest {
        self.protocol.request(&self.base_url, &self.endpoints[endpoint], addresses)
    }

    fn parse(&self, endpoint: usize, addresses: &[Address], response: &HttpResponse) -> Reply {
        let endpoint = &self.endpoints[endpoint];
        let HttpResponse { status, headers, body } = response;
        let body = Json::read(body);
        let mut answers =
            self.protocol.read(endpoint, addresses, *status, body.as_ref().map_err(Clone::clone));
        self.redact(&mut answers);
        let refused = answers == Err(Refusal::RateLimited);
        Reply { observation: observe(*status, headers, &endpoint.limits, self.patience, refused), answers }
    }

    fn terms(&self) -> &'static str {
        self.terms
    }

    fn credit(&self) -> Option<Credit> {
        self.credit
    }

    fn finest(&self) -> Precision {
        self.protocol.finest()
    }
}

/// A URL below the base: its path with these segments, whatever they hold, and this query.
pub fn below(base: &Url, segments: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

/// A request for the address in its URL.
pub fn get(url: Url, headers: Vec<(HeaderName, HeaderValue)>, addresses: usize) -> HttpRequest {
    HttpRequest { method: Method::GET, url, headers: accepting(headers), body: None, addresses }
}

/// A request with JSON in its body.
pub fn post(
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: &impl serde::Serialize,
    addresses: usize,
) -> HttpRequest {
    let mut headers = accepting(headers);
    headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    // Texts and lists of texts are all that is sent, and those can always be written.
    let body = serde_json::to_vec(body).unwrap_or_default();
    HttpRequest { method: Method::POST, url, headers, body: Some(body), addresses }
}

fn accepting(mut headers: Vec<(HeaderName, HeaderValue)>) -> Vec<(HeaderName, HeaderValue)> {
    headers.push((header::ACCEPT, HeaderValue::from_static("application/json")));
    headers
}

/// The address that a request to a single endpoint is about.
pub fn the_one(addresses: &[Address]) -> String {
    addresses.first().map(Address::to_string).unwrap_or_default()
}
