//! As much of HTTP as a proof needs to ask the server that it started.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its content type.
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Answer {
    /// Whether it is a refusal in the form that every refusal has.
    pub(crate) fn is_problem(&self) -> bool {
        self.content_type.starts_with("application/problem+json")
    }

    /// Its body, where that is JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Asks for a path.
pub(crate) async fn get(server: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    ask(server, format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")).await
}

/// Sends JSON to a path.
pub(crate) async fn post(server: SocketAddr, path: &str, body: &str) -> anyhow::Result<Answer> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    ask(server, head + body).await
}

async fn ask(server: SocketAddr, request: String) -> anyhow::Result<Answer> {
    let asking = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        anyhow::Ok(bytes)
    };
    let bytes = tokio::time::timeout(TIMEOUT, asking).await.context("no answer in time")??;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("the answer has no status")?;
    let content_type = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default();
    Ok(Answer { status: status.parse()?, content_type, body: body.to_owned() })
}
