//! A server whose database cannot be written. The limit of the size of files stands in for a full disk: every write to
//! a file fails in the kernel, also beyond what is there already.

use std::process::Command;

use crate::support::{Installation, PATIENCE, Server, client};

/// The shell ignores the signal that a write beyond the limit sends, and what it becomes goes on ignoring it.
const IGNORING: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";
const LIMITED: &str = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";

/// The command, begun by a shell.
fn by_shell(installation: &Installation, script: &str, arguments: &[&str]) -> Command {
    let binary = env!("CARGO_BIN_EXE_hostatlas");
    let mut command = installation.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, binary]).args(arguments).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().expect("a folder"));
    command.stdin(std::process::Stdio::null());
    shell
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    shell
}

/// Sets how large files may become that the server writes: `0:unlimited` for not at all, `unlimited` for as they like.
fn limit(server: &Server, bytes: &str) {
    let id = server.process_id().to_string();
    let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}")]).status();
    assert!(set.expect("prlimit runs").success());
}

async fn readiness(server: &Server) -> (u16, String) {
    let answer = client().get(server.url("/readyz")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

async fn until_ready_is(server: &Server, status: u16) -> String {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let (found, text) = readiness(server).await;
        if found == status {
            return text;
        }
        assert!(std::time::Instant::now() < deadline, "{found} {text}: {}", server.said());
        tokio::task::yield_now().await;
    }
}

/// What a server says is read by a thread of the test, which may be behind.
async fn until_it_said(server: &Server, what: &str) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !server.said().contains(what) {
        assert!(std::time::Instant::now() < deadline, "not a word of `{what}`: {}", server.said());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_write_is_not_ready_and_says_so_once_and_when_it_can_again() {
    let installation = Installation::located();
    let server = Server::start(by_shell(&installation, IGNORING, &["serve", "--listen", "127.0.0.1:0"]));
    until_ready_is(&server, 200).await;
    let said = |what: &str| server.said().matches(what).count();
    assert_eq!(said("Nothing can be written"), 0, "{}", server.said());

    limit(&server, "0:unlimited");
    let problem = until_ready_is(&server, 503).await;
    assert!(problem.contains("The database cannot be written"), "{problem}");
    // It stays so, and the process lives and is read.
    until_ready_is(&server, 503).await;
    for path in ["/healthz", "/api/v1/coverage"] {
        let answer = client().get(server.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
    until_it_said(&server, "Nothing can be written").await;
    assert_eq!((said("Nothing can be written"), said("can be written again")), (1, 0), "{}", server.said());

    limit(&server, "unlimited");
    until_ready_is(&server, 200).await;
    until_it_said(&server, "can be written again").await;
    assert_eq!((said("Nothing can be written"), said("can be written again")), (1, 1), "{}", server.said());
}

#[tokio::test]
async fn the_doctor_tries_a_write() {
    let installation = Installation::located();
    // What the engine makes beside the file is there while somebody has it open.
    let _server = installation.serve();
    let output = by_shell(&installation, LIMITED, &["doctor", "--json"]).output().expect("it runs");
    let doctor = installation.ended(output);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    let findings = doctor.json()["findings"].as_array().expect("findings").clone();
    let errors: Vec<_> = findings.iter().filter(|finding| finding["severity"] == "error").collect();
    assert_eq!(errors.len(), 1, "{findings:?}");
    let detail = errors[0]["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("a write was tried: the database cannot be written"), "{detail}");
    assert!(errors[0]["remedy"].as_str().is_some_and(|remedy| remedy.contains("free space")), "{findings:?}");
}
