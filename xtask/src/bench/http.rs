//! Asks the server, as a browser does, and times it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::timed;

/// A client that keeps its connection.
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned(), agent: ureq::Agent::new_with_defaults() }
    }

    /// The body as it travels, compressed.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("Accept-Encoding", "br");
        let mut answer = request.call().with_context(|| format!("GET {path}"))?;
        Ok(answer.body_mut().with_config().limit(64 << 20).read_to_vec()?)
    }

    /// The body as text, not compressed.
    pub fn get_plain(&self, path: &str) -> Result<String> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("Accept-Encoding", "identity");
        Ok(request.call().with_context(|| format!("GET {path}"))?.body_mut().read_to_string()?)
    }

    pub fn post(&self, path: &str, body: &str) -> Result<Vec<u8>> {
        let request =
            self.agent.post(format!("{}{path}", self.base)).header("Content-Type", "application/json");
        let mut answer = request.send(body).with_context(|| format!("POST {path}"))?;
        Ok(answer.body_mut().read_to_vec()?)
    }
}

/// Scripts and styles that a page names, and the WASM beside its script.
pub fn assets(html: &str) -> Vec<String> {
    let mut found: Vec<String> = html
        .split(['"', '\''])
        .filter(|text| text.starts_with("/pkg/") || text.starts_with("/vendor/"))
        .filter(|text| [".js", ".css", ".wasm"].iter().any(|end| text.ends_with(end)))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// How long requests took.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn time<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (answer, took) = timed(work)?;
        self.add(took);
        Ok(answer)
    }

    /// Adds one that was measured elsewhere.
    pub fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Median, 99th percentile and maximum in milliseconds.
    pub fn report(mut self) -> Value {
        self.0.sort_unstable();
        let at = |share: usize| {
            let index = (self.0.len() * share / 100).min(self.0.len().saturating_sub(1));
            self.0.get(index).map(|took| (took.as_secs_f64() * 100_000.0).round() / 100.0)
        };
        json!({ "requests": self.0.len(), "p50_ms": at(50), "p99_ms": at(99), "max_ms": at(100) })
    }
}
