//! How a response goes over the wire, whole or not.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{fault::Fault, http::Response};

/// What "10 GB" is.
const HUGE: u64 = 10 * 1024 * 1024 * 1024;
const DRIP: Duration = Duration::from_secs(1);
const INTERIM: Duration = Duration::from_millis(50);

/// Sends `response` as `fault` has it. Whether the connection may be used again.
pub(super) async fn deliver(
    stream: &mut TcpStream,
    response: &Response,
    fault: Option<Fault>,
) -> io::Result<bool> {
    let Some(fault) = fault else {
        stream.write_all(&response.wire()).await?;
        return Ok(true);
    };
    let wire = response.wire();
    let body = response.body.as_slice();
    let head = wire.len() - body.len().min(wire.len());
    let half = head + body.len() / 2;
    match fault {
        Fault::ResetBeforeHeaders => reset(stream)?,
        Fault::ResetInHeaders => cut(stream, &wire[..head / 2], true).await?,
        Fault::ResetInBody => cut(stream, &wire[..half], true).await?,
        Fault::ClosedInBody => cut(stream, &wire[..half], false).await?,
        Fault::HangBeforeHeaders => hang(stream).await?,
        Fault::HangInBody => {
            stream.write_all(&wire[..half]).await?;
            hang(stream).await?;
        }
        Fault::DripHeaders => drip(stream, &wire).await?,
        Fault::DripBody => {
            stream.write_all(&wire[..head]).await?;
            drip(stream, &wire[head..]).await?;
        }
        Fault::SwitchingProtocols => {
            stream
                .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
                .await?;
            hang(stream).await?;
        }
        Fault::ContinueForever => loop {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            sleep(INTERIM).await;
        },
        Fault::LengthHuge => {
            stream.write_all(&response.head(Some(&HUGE.to_string()))).await?;
            flood(stream, false).await?;
        }
        Fault::BodyHuge => {
            stream.write_all(&chunked(response)).await?;
            flood(stream, true).await?;
        }
        // What is left is no more than other bytes, after which the connection ends.
        _ => cut(stream, &misframed(fault, response), false).await?,
    }
    Ok(false)
}

fn misframed(fault: Fault, response: &Response) -> Vec<u8> {
    let body = response.body.as_slice();
    let with = |head: Vec<u8>| [head.as_slice(), body].concat();
    let longer = (body.len() + 100).to_string();
    let shorter = (body.len() / 2).to_string();
    match fault {
        Fault::LengthTooLong => with(response.head(Some(&longer))),
        Fault::LengthTooShort => with(response.head(Some(&shorter))),
        Fault::LengthGarbage => with(response.head(Some("many"))),
        Fault::ChunksGarbage => [chunked(response), b"zz\r\n".to_vec(), body.to_vec()].concat(),
        Fault::ChunksUnended => {
            let length = format!("{:x}\r\n", body.len());
            [chunked(response), length.into_bytes(), body.to_vec(), b"\r\n".to_vec()].concat()
        }
        Fault::StatusLineGarbage => [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", body].concat(),
        Fault::HeaderHuge => with(
            response
                .clone()
                .with_header("X-Long", "a".repeat(1024 * 1024))
                .head(Some(&body.len().to_string())),
        ),
        Fault::HeadersMany => {
            let many = (0..10_000).fold(response.clone(), |response, _| response.with_header("X-More", "1"));
            with(many.head(Some(&body.len().to_string())))
        }
        Fault::HeaderGarbage => {
            let odd = response.clone().with_header("X-O dd\u{1}", "\u{0}");
            with(odd.head(Some(&body.len().to_string())))
        }
        // Closed without a byte.
        _ => Vec::new(),
    }
}

fn chunked(response: &Response) -> Vec<u8> {
    response.clone().with_header("Transfer-Encoding", "chunked").head(None)
}

/// The other side sees a reset, not an end.
fn reset(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

async fn cut(stream: &mut TcpStream, bytes: &[u8], with_reset: bool) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    if with_reset {
        reset(stream)?;
    } else {
        stream.shutdown().await?;
    }
    Ok(())
}

/// Waits until the other side goes.
async fn hang(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

async fn drip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        sleep(DRIP).await;
    }
    Ok(())
}

/// Spaces, which are no end of any JSON, until the other side has had enough.
async fn flood(stream: &mut TcpStream, in_chunks: bool) -> io::Result<()> {
    const PIECE: usize = 64 * 1024;
    let spaces = vec![b' '; PIECE];
    let piece = if in_chunks { [b"10000\r\n", spaces.as_slice(), b"\r\n"].concat() } else { spaces };
    for _ in 0..HUGE / (PIECE as u64) {
        stream.write_all(&piece).await?;
    }
    Ok(())
}
