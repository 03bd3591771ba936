//! Behind Debian's nginx with the plainest `proxy_pass`.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::support::{Installation, PATIENCE, SCAN, Server, repository};

/// Within this an event has to be seen after its commit.
const SOON: Duration = Duration::from_secs(2);

/// nginx in front of a server, in a folder of its own; killed when dropped.
struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
}

impl Nginx {
    fn before(server: &Server) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\nevents {{ worker_connections 64; }}\n\
             http {{\n access_log off;\n client_body_temp_path body;\n proxy_temp_path proxy;\n fastcgi_temp_path fastcgi;\n \
             uwsgi_temp_path uwsgi;\n scgi_temp_path scgi;\n server {{\n  listen unix:{}/socket;\n  location / {{\n   \
             proxy_pass http://{};\n  }}\n }}\n}}\n",
            folder.path().display(),
            server.address
        );
        std::fs::write(folder.path().join("nginx.conf"), settings).expect("a file");
        let child = Command::new(program())
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is needed: `cargo xtask test` fetches it, or install Debian's `nginx`");
        Self { child, folder }
    }

    async fn connect(&self) -> UnixStream {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(self.folder.path().join("socket")).await {
                Ok(stream) => return stream,
                Err(error) => {
                    let log = std::fs::read_to_string(self.folder.path().join("error.log"));
                    assert!(Instant::now() < deadline, "{error}: {}", log.unwrap_or_default());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `cargo xtask test` unpacks it, or where Debian installs it, which is not on everybody's PATH.
fn program() -> PathBuf {
    let places = [repository().join("target/nginx/usr/sbin/nginx"), PathBuf::from("/usr/sbin/nginx")];
    places.into_iter().find(|place| place.is_file()).unwrap_or_else(|| Path::new("nginx").to_owned())
}

/// Reads until `word` has come, and answers how long that took.
async fn until(stream: &mut UnixStream, seen: &mut String, word: &str) -> Duration {
    let begun = Instant::now();
    while !seen.contains(word) {
        let mut part = [0; 4096];
        let length = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await;
        let length = length.unwrap_or_else(|_| panic!("no `{word}` in {seen}")).expect("a part");
        assert_ne!(length, 0, "the stream ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    begun.elapsed()
}

#[tokio::test]
async fn events_come_at_once_through_nginx_with_the_plainest_proxy_pass() {
    let installation = Installation::new();
    let server = installation.serve();
    let nginx = Nginx::before(&server);
    let mut stream = nginx.connect().await;
    let request = "GET /api/v1/events HTTP/1.1\r\nhost: atlas.example\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut seen = String::new();

    let greeted = until(&mut stream, &mut seen, ": listening").await;
    let scan = installation.write("scan.json", SCAN);
    assert_eq!(installation.run(&["import", &scan]).code, Some(0));
    let heard = until(&mut stream, &mut seen, "event: imports").await;

    println!("greeted after {greeted:?}, heard of the import {heard:?} after its end");
    assert!(greeted < SOON && heard < SOON, "{greeted:?}, {heard:?}: {seen}");
}

#[tokio::test]
async fn pages_and_exports_come_through_nginx_whole() {
    let installation = Installation::located();
    let server = installation.serve();
    let nginx = Nginx::before(&server);
    for (path, expected) in [("/hosts", "193.61.165.138"), ("/api/v1/hosts/export", "193.61.165.138")] {
        let mut stream = nginx.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: atlas.example\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(expected), "{path}: {answer}");
    }
}
