//! Over a real connection: what clients of every kind get to see.

use std::time::Duration;

use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::{Fault, Settings, StandIn};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const REQUEST: &[u8] = b"GET /ip-api/json/8.8.8.8 HTTP/1.1\r\nHost: stand-in\r\n\r\n";

/// Sends one request and reads until the end, the reset, or `most` bytes.
async fn exchange(stand_in: &StandIn, most: usize) -> (Vec<u8>, Option<std::io::ErrorKind>) {
    let mut stream = TcpStream::connect(stand_in.address()).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut seen = Vec::with_capacity(64 * 1024);
    let reading = async {
        loop {
            match stream.read_buf(&mut seen).await {
                Ok(0) => return None,
                Ok(_) if seen.len() >= most => return None,
                Ok(_) => {}
                Err(error) => return Some(error.kind()),
            }
        }
    };
    // Over all reads together: a fault that sends a little now and then would go on for ever otherwise.
    let end =
        timeout(Duration::from_millis(300), reading).await.unwrap_or(Some(std::io::ErrorKind::TimedOut));
    (seen, end)
}

/// Without the line that changes with the clock.
fn undated(wire: &[u8]) -> String {
    let text = String::from_utf8_lossy(wire);
    text.lines().filter(|line| !line.starts_with("Date:")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let stand_in = StandIn::start(Settings::default()).await.unwrap();
    let mut stream = TcpStream::connect(stand_in.address()).await.unwrap();
    let mut seen = vec![0; 64 * 1024];

    for asked in 1..=3 {
        stream.write_all(REQUEST).await.unwrap();
        let length = stream.read(&mut seen).await.unwrap();
        assert!(seen[..length].starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(stand_in.statistics(ProviderName::IpApi).requests, asked);
    }
}

#[tokio::test]
async fn every_fault_of_the_wire_breaks_the_answer_and_the_next_one_is_whole() {
    let stand_in =
        StandIn::start(Settings { unlimited: true, ban_after: None, ..Settings::default() }).await.unwrap();
    let whole = exchange(&stand_in, 1).await.0;

    for fault in Fault::ALL
        .iter()
        .copied()
        .filter(|fault| fault.stage() == hostatlas_provider_standin::Stage::Transport)
    {
        stand_in.set_fault_for(ProviderName::IpApi, fault, 1);
        let (seen, end) = exchange(&stand_in, 3_000_000).await;
        let (after, _) = exchange(&stand_in, 1).await;

        assert_ne!(undated(&seen), undated(&whole), "{fault} is to be seen");
        assert_eq!(undated(&after), undated(&whole), "after {fault}");
        match fault {
            Fault::ResetBeforeHeaders | Fault::ResetInHeaders | Fault::ResetInBody => {
                assert_eq!(end, Some(std::io::ErrorKind::ConnectionReset), "{fault}");
            }
            Fault::HangBeforeHeaders | Fault::HangInBody => {
                assert_eq!(end, Some(std::io::ErrorKind::TimedOut), "{fault}");
            }
            Fault::BodyHuge | Fault::LengthHuge => assert!(seen.len() >= 3_000_000, "{fault}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn faults_of_the_connection_have_places_of_their_own() {
    let stand_in = StandIn::start(Settings::default()).await.unwrap();
    let port = |fault| {
        let url = stand_in.base_url_under(ProviderName::IpApi, fault);
        url.trim_end_matches("/ip-api/").rsplit(':').next().unwrap().parse::<u16>().unwrap()
    };

    let refused = TcpStream::connect(("127.0.0.1", port(Fault::Refused))).await.unwrap_err();
    let mut garbage = TcpStream::connect(("127.0.0.1", port(Fault::TlsGarbage))).await.unwrap();
    garbage.write_all(b"\x16\x03\x01").await.unwrap();
    let mut answer = Vec::new();
    garbage.read_to_end(&mut answer).await.unwrap();

    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(answer.ends_with(b"no handshake at all"));
    assert!(stand_in.base_url_under(ProviderName::IpApi, Fault::NoSuchHost).contains(".invalid/ip-api/"));
    assert_eq!(
        stand_in.base_url_under(ProviderName::IpApi, Fault::Swapped),
        stand_in.base_url(ProviderName::IpApi)
    );
}

#[tokio::test]
async fn a_provider_that_is_down_resets_and_the_others_answer() {
    let stand_in = StandIn::start(Settings::default()).await.unwrap();
    stand_in.set_down(ProviderName::IpApi, true);

    let (seen, end) = exchange(&stand_in, 1).await;
    stand_in.set_down(ProviderName::IpApi, false);
    let (after, _) = exchange(&stand_in, 1).await;

    assert_eq!((seen.len(), end), (0, Some(std::io::ErrorKind::ConnectionReset)));
    assert!(after.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn nothing_answers_once_it_is_dropped() {
    let stand_in = StandIn::start(Settings::default()).await.unwrap();
    let address = stand_in.address();
    drop(stand_in);
    tokio::task::yield_now().await;

    assert!(TcpStream::connect(address).await.is_err());
}
