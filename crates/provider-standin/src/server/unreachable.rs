//! Places that a request never gets to.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};

use crate::fault::Fault;

/// Ports for the faults of the connection.
pub(super) struct Unreachable {
    garbage: SocketAddr,
    cut_off: SocketAddr,
    plain_text: SocketAddr,
    refused: SocketAddr,
    /// Bound and never listening, so that nobody else gets the port.
    _refuses: TcpSocket,
}

impl Unreachable {
    pub(super) async fn open(tasks: &mut JoinSet<()>) -> io::Result<Self> {
        let refuses = TcpSocket::new_v4()?;
        refuses.bind(free())?;
        Ok(Self {
            garbage: answering(tasks, b"\x16\x03\x03\x00\x05\xff\xff\xff\xff\xff no handshake at all")
                .await?,
            cut_off: answering(tasks, b"").await?,
            plain_text: answering(tasks, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await?,
            refused: refuses.local_addr()?,
            _refuses: refuses,
        })
    }

    /// Scheme, host and port that have `fault`, if it is one of the connection.
    pub(super) fn origin(&self, fault: Fault) -> Option<String> {
        match fault {
            Fault::Refused => Some(format!("http://{}", self.refused)),
            // No resolver asks for a label of more than 63 characters.
            Fault::NoSuchHost => Some(format!("https://{}.invalid", "a".repeat(64))),
            Fault::TlsGarbage => Some(format!("https://{}", self.garbage)),
            Fault::TlsCutOff => Some(format!("https://{}", self.cut_off)),
            Fault::TlsPlainText => Some(format!("https://{}", self.plain_text)),
            _ => None,
        }
    }
}

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Answers the first bytes of every connection with `answer`, and closes.
async fn answering(tasks: &mut JoinSet<()>, answer: &'static [u8]) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(free()).await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut hello = [0; 4096];
                // However this ends, the other side sees no handshake.
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(address)
}
