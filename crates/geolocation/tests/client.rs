//! The HTTP client against servers on this machine that misbehave.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_geolocation::online::{
    HttpRequest, HttpResponse, HttpTransport, OnlineOptions, Refusal, Transport,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use url::Url;

const KEY: &str = "canary-4f1e9c";

fn request(base: &str, addresses: usize) -> HttpRequest {
    let mut secret = HeaderValue::from_static(KEY);
    secret.set_sensitive(true);
    HttpRequest {
        method: Method::GET,
        url: Url::parse(&format!("{base}/json?key={KEY}")).expect("a URL"),
        headers: vec![(HeaderName::from_static("x-key"), secret)],
        body: None,
        addresses,
    }
}

async fn send(base: &str, addresses: usize) -> Result<HttpResponse, Refusal> {
    HttpTransport::new(OnlineOptions { allow_private: true }).send(request(base, addresses)).await
}

/// A server that sends `answer` to whoever calls, and then closes; with what it was sent.
async fn server(answer: Vec<u8>) -> (String, Arc<Mutex<String>>) {
    serve(move |mut caller| {
        let answer = answer.clone();
        async move {
            let _ = caller.write_all(&answer).await;
            let _ = caller.shutdown().await;
        }
    })
    .await
}

async fn serve<F, Answered>(answer: F) -> (String, Arc<Mutex<String>>)
where
    F: Fn(TcpStream) -> Answered + Send + 'static,
    Answered: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let read = caller.read(&mut head).await.unwrap_or(0);
            heard.lock().await.push_str(&String::from_utf8_lossy(&head[..read]));
            tokio::spawn(answer(caller));
        }
    });
    (base, asked)
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

/// The words of a call that was made.
fn unavailable(answer: Result<HttpResponse, Refusal>) -> String {
    let Err(Refusal::Unavailable(words)) = answer else { panic!("{answer:?}") };
    discreet(words)
}

/// The words of a call of which nothing was sent.
fn unreached(answer: Result<HttpResponse, Refusal>) -> String {
    let Err(Refusal::Unreached(words)) = answer else { panic!("{answer:?}") };
    discreet(words)
}

fn discreet(words: String) -> String {
    assert!(!words.contains(KEY) && !words.contains("127.0.0.1"), "{words}");
    words
}

#[tokio::test]
async fn an_answer_is_whole_and_decompressed_and_the_call_says_who_calls() {
    let (base, asked) = server(ok("content-encoding: gzip\r\nx-ttl: 60\r\n", &gzip(b"{}"))).await;
    let answer = send(&base, 1).await.expect("an answer");
    assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, b"{}".as_slice()));
    assert_eq!(answer.headers["x-ttl"], "60");
    let asked = asked.lock().await.to_lowercase();
    assert!(asked.contains(&format!("user-agent: hostatlas/{}", env!("CARGO_PKG_VERSION"))), "{asked}");
    assert!(!asked.contains("cookie") && !asked.contains("referer"), "{asked}");
}

#[tokio::test]
async fn a_body_is_bounded_by_its_addresses_after_decompression() {
    let bound = 4096;
    for (addresses, length, fits) in [(1, bound, true), (1, bound + 1, false), (2, 2 * bound, true)] {
        for compressed in [false, true] {
            let body = vec![b' '; length];
            let answer =
                if compressed { ok("content-encoding: gzip\r\n", &gzip(&body)) } else { ok("", &body) };
            let (base, _) = server(answer).await;
            let answer = send(&base, addresses).await;
            assert_eq!(answer.is_ok(), fits, "{addresses} {length} {compressed}");
        }
    }
    // Ten megabytes of nothing in ten kilobytes, for as many addresses as there can be.
    let (base, _) = server(ok("content-encoding: gzip\r\n", &gzip(&vec![0; 10 * 1024 * 1024]))).await;
    assert!(matches!(send(&base, 1_000_000).await, Err(Refusal::Malformed(_))));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (elsewhere, visited) = server(ok("", b"{}")).await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let (base, _) = server(answer.into_bytes()).await;
    assert_eq!(send(&base, 1).await.expect("an answer").status, StatusCode::FOUND);
    assert_eq!(*visited.lock().await, "");
}

#[tokio::test]
async fn an_error_keeps_its_status_and_headers_however_long_its_page_is() {
    let page = vec![b'x'; 100_000];
    let mut answer =
        format!("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: {}\r\n\r\n", page.len()).into_bytes();
    answer.extend_from_slice(&page);
    let (base, _) = server(answer).await;
    let answer = send(&base, 1).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body.len()), (503, 4096));
    assert_eq!(answer.headers["retry-after"], "7");
}

#[tokio::test]
async fn what_breaks_is_said_without_an_address_or_a_key() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    assert_eq!(unreached(send(&nobody, 1).await), "it refused the connection");

    let (closes, _) = server(Vec::new()).await;
    println!("closed without a word: {}", unavailable(send(&closes, 1).await));
    let (cut, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec()).await;
    println!("cut off: {}", unavailable(send(&cut, 1).await));
    let (no_http, _) = server(b"220 mail.example ESMTP\r\n".to_vec()).await;
    println!("no HTTP: {}", unavailable(send(&no_http, 1).await));
    let (no_tls, _) = server(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec()).await;
    let no_tls = no_tls.replace("http://", "https://");
    assert_eq!(unreached(send(&no_tls, 1).await), "its certificate or its TLS was not accepted");

    let (not_gzip, _) = server(ok("content-encoding: gzip\r\n", b"{\"plain\": true}")).await;
    let answer = send(&not_gzip, 1).await;
    assert_eq!(answer.unwrap_err(), Refusal::Malformed("its answer could not be decompressed".to_owned()));
}

#[tokio::test]
async fn a_server_that_drips_is_given_up_within_its_time() {
    let (silent, _) = serve(|caller| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(caller);
    })
    .await;
    let (drips, _) = serve(|mut caller| async move {
        let _ = caller.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n").await;
        while caller.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    let began = Instant::now();
    let timed = |base: String| async move { (unavailable(send(&base, 1).await), began.elapsed()) };
    let ((silent, after), (drips, later)) = tokio::join!(timed(silent), timed(drips));
    assert_eq!([silent, drips], ["it did not answer in time", "it did not answer in time"]);
    assert!(after < Duration::from_secs(5) && later < Duration::from_millis(8_900), "{after:?} {later:?}");
}

#[tokio::test]
async fn private_addresses_are_refused_by_name_and_by_number_unless_allowed() {
    let (base, asked) = server(ok("", b"{}")).await;
    let port = base.rsplit(':').next().expect("a port");
    let strict = HttpTransport::new(OnlineOptions::default());
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "169.254.169.254"] {
        let words = unreached(strict.send(request(&format!("http://{host}:{port}"), 1)).await);
        assert_eq!(words, "its name stands for a private address, which is refused unless allowed", "{host}");
    }
    assert_eq!(*asked.lock().await, "");
    let localhost = format!("http://localhost:{port}");
    assert_eq!(send(&localhost, 1).await.expect("allowed").status, StatusCode::OK);
}
