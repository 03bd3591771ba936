//! What one client can take from the others: nothing.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Installation, PATIENCE, Server, client, get_json, post_json};

const SLOW: usize = 2_000;
const REQUESTS: usize = 200;
/// KiB of one event stream: two buffers of 8 KiB that its connection has, and its state.
const LARGEST_STREAM: u64 = 22;
const QUICK: Duration = Duration::from_millis(100);

/// Lets this process have as many files open as it may.
fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(&server.address).await.expect("a connection")
}

/// Sends a head that announces a body, and one byte of it.
async fn slow_body(server: &Server) -> TcpStream {
    let mut stream = connect(server).await;
    let head = "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

/// The longest of 99 in 100 of these.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100 - 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_keep_nobody_out() {
    many_files();
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let mut slow = Vec::with_capacity(SLOW);
    for _ in 0..SLOW {
        slow.push(slow_body(&server).await);
    }

    // A busy machine may be slow once; a server that is kept from its work is slow each time.
    let mut rounds = Vec::new();
    while rounds.last().is_none_or(|quick: &Duration| *quick >= QUICK) && rounds.len() < 5 {
        let mut times = Vec::with_capacity(REQUESTS);
        for number in 0..REQUESTS {
            let begun = Instant::now();
            if number % 2 == 0 {
                get_json(&server, "/api/v1/jobs/stats").await;
            } else {
                let (status, _) = post_json(&server, "/api/v1/jobs/retry", &json!({"ids": [1]})).await;
                assert_eq!(status, 200);
            }
            times.push(begun.elapsed());
        }
        rounds.push(p99(times));
    }
    println!("p99 beside {SLOW} slow bodies, by round: {rounds:?}");
    assert!(rounds.last().is_some_and(|quick| *quick < QUICK), "{rounds:?}");

    // The slow ones are told that they were too slow, and let go.
    let mut answer = String::new();
    let first = slow.first_mut().expect("a slow one");
    let read = tokio::time::timeout(PATIENCE, first.read_to_string(&mut answer)).await;
    read.expect("it ends").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn a_larger_body_that_comes_in_parts_is_read_whole() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let ids: Vec<i64> = (1..=20_000).collect();
    let body = json!({"ids": ids}).to_string();
    let mut stream = connect(&server).await;
    let head = format!(
        "POST /api/v1/jobs/retry HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    for part in body.as_bytes().chunks(7_000) {
        stream.write_all(part).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""changed":5"#), "{answer}");
}

/// Opens an event stream as a client behind a proxy; answers the status and the connection that keeps it open.
async fn stream_of(server: &Server, client: &str) -> (u16, TcpStream) {
    let mut stream = connect(server).await;
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 9.9.9.9, {client}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("a status");
    let status = std::str::from_utf8(&head[9..]).expect("text").parse().expect("a status");
    (status, stream)
}

#[tokio::test]
async fn one_client_has_sixteen_streams_and_another_has_its_own() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(stream_of(&server, "192.0.2.1").await);
    }

    let (one_more, _) = stream_of(&server, "192.0.2.1").await;
    let (another, _) = stream_of(&server, "192.0.2.2").await;

    assert!(held.iter().all(|(status, _)| *status == 200));
    assert_eq!((one_more, another), (429, 200));
    drop(held);
    let deadline = Instant::now() + PATIENCE;
    while stream_of(&server, "192.0.2.1").await.0 != 200 {
        assert!(Instant::now() < deadline, "what a client gave back it does not get again");
    }
}

/// Anonymous memory of a process in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_streams_as_there_may_be_cost_a_bounded_memory() {
    many_files();
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    get_json(&server, "/api/v1/map").await;
    let before = memory(server.id());
    let mut held = Vec::new();
    for number in 0..4_096_usize {
        let client = format!("10.{}.{}.1", number / 16 / 250, number / 16 % 250);
        let (status, stream) = stream_of(&server, &client).await;
        assert_eq!(status, 200, "{number}");
        held.push(stream);
    }
    assert_eq!(stream_of(&server, "192.0.2.1").await.0, 503);
    assert_eq!(get_json(&server, "/api/v1/coverage").await["located"], 4);

    let after = memory(server.id());
    println!("{before} KiB before, {after} KiB with {} streams", held.len());
    assert!((after - before) / 4_096 < LARGEST_STREAM, "{before} KiB before, {after} KiB after");
}

#[tokio::test]
async fn one_client_has_four_exports_and_another_has_its_own() {
    let installation = Installation::new();
    // More than the buffers between us hold, so that an export that nobody reads goes on.
    let lines: String = (0..200_000_u32)
        .map(|number| format!("{}\n", std::net::Ipv4Addr::from_bits(0x0b00_0000 + number * 3)))
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(installation.run(&["import", &installation.write("hosts.txt", lines)]).code, Some(0));
    let server = installation.serve_with(&["--no-worker"]);
    let export = async |client_name: &'static str| {
        let request = client().get(server.url("/api/v1/hosts/export")).header("x-forwarded-for", client_name);
        request.send().await.expect("an answer")
    };
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(export("192.0.2.1").await);
    }

    let one_more = export("192.0.2.1").await.status().as_u16();
    let another = export("192.0.2.2").await.status().as_u16();

    assert!(held.iter().all(|answer| answer.status().is_success()));
    assert_eq!((one_more, another), (429, 200));
}
