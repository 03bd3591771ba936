//! The drill: a backup that is made while an import runs, put back, and checked.

mod support;

use std::{
    io::Write,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use support::{Ended, Installation, PATIENCE};

/// A scanner that finds ten thousand hosts a second.
const PACE: Duration = Duration::from_millis(10);

fn exported(installation: &Installation, database: &str) -> Vec<String> {
    let url = format!("sqlite://{database}");
    let ended = installation.run(&["--database-url", &url, "hosts", "export", "--format", "ndjson"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

fn ok(ended: Ended) -> Ended {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

fn backup(installation: &Installation, file: &str) -> Ended {
    installation.run(&["--json", "db", "backup", file])
}

fn hosts(installation: &Installation) -> u64 {
    let ended = installation.run(&["--json", "stats", "coverage"]);
    if ended.code == Some(0) { ended.json()["total"].as_u64().expect("a count") } else { 0 }
}

/// An import that goes on until it is told to end.
struct Import {
    child: Child,
    stop: mpsc::Sender<()>,
    writer: thread::JoinHandle<u32>,
}

impl Import {
    fn start(installation: &Installation) -> Self {
        let mut child = installation
            .command(&["import", "--follow", "--format", "plain", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut pipe = child.stdin.take().expect("a pipe");
        let (stop, stopped) = mpsc::channel();
        let writer = thread::spawn(move || {
            let mut written = 0;
            while stopped.recv_timeout(PACE) == Err(mpsc::RecvTimeoutError::Timeout) {
                for n in written..written + 100 {
                    writeln!(pipe, "8.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255).expect("a reader");
                }
                written += 100;
            }
            written
        });
        Self { child, stop, writer }
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a process").is_none()
    }

    /// Ends it; answers how many hosts it was given.
    fn end(mut self) -> u32 {
        self.stop.send(()).expect("a writer");
        let written = self.writer.join().expect("the writer ends");
        assert!(self.child.wait().expect("the import ends").success());
        written
    }
}

#[test]
fn a_backup_that_is_made_during_an_import_is_restored_and_complete() {
    let installation = Installation::new();
    let mut import = Import::start(&installation);
    let deadline = Instant::now() + PATIENCE;
    while hosts(&installation) == 0 {
        assert!(Instant::now() < deadline, "the import stores nothing");
        thread::yield_now();
    }
    let written = ok(backup(&installation, "backup.db")).json();
    assert!(written["file"].as_str().is_some_and(|file| file.ends_with("/backup.db")), "{written}");
    let twice = backup(&installation, "backup.db");
    assert_eq!(twice.code, Some(1), "{twice:?}");
    assert!(twice.stderr.contains("exists already"), "{twice:?}");

    // Whoever has the database open keeps it.
    assert!(import.is_running(), "the import went on meanwhile");
    let refused = installation.run(&["db", "restore", "backup.db", "--force"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("open"), "{refused:?}");
    let hosts = import.end();

    let (all, kept) = (exported(&installation, "hostatlas.db"), exported(&installation, "backup.db"));
    assert_eq!(all.len(), hosts as usize);
    assert!(!kept.is_empty() && kept.len() < all.len(), "{} of {}", kept.len(), all.len());

    let refused = installation.run(&["db", "restore", "backup.db"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    let restored = ok(installation.run(&["--json", "db", "restore", "backup.db", "--force"])).json();
    let checked = ok(installation.run(&["--table", "db", "check"]));
    assert!(checked.stdout.contains("0 wrong"), "{checked:?}");
    assert_eq!(exported(&installation, "hostatlas.db"), kept);

    // And back again: nothing was deleted.
    let aside = restored["aside"].as_str().expect("the database before").replace("[folder]/", "");
    assert!(aside.starts_with("hostatlas.db.before-restore-"), "{aside}");
    assert_eq!(exported(&installation, &aside), all);
    ok(installation.run(&["worker", "--drain"]));
    assert!(ok(installation.run(&["--table", "db", "check"])).stdout.contains("0 wrong"));
}

/// Sends Ctrl-C to a command once `file` is being written, and waits for its end.
fn interrupted(installation: &Installation, arguments: &[&str], file: &str) -> (Option<i32>, String) {
    let child = installation.command(arguments).spawn().expect("the binary runs");
    let id = child.id().to_string();
    let mut running = support::Running::of(child);
    let deadline = Instant::now() + PATIENCE;
    while !installation.path(file).metadata().is_ok_and(|file| file.len() > 0) {
        assert!(Instant::now() < deadline, "`{file}` is not written");
        thread::yield_now();
    }
    let sent = std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill runs");
    assert!(sent.success());
    running.ended()
}

fn files(installation: &Installation) -> Vec<String> {
    let entries = std::fs::read_dir(installation.path("")).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let mut names: Vec<_> = names.filter(|name| name.contains("part") || name.contains("backup")).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_backup_or_restore_that_is_interrupted_leaves_nothing_behind() {
    let installation = Installation::new();
    let list: String = (0..60_000_u32)
        .map(|n| format!("8.{}.{}.{}\n", n >> 16, (n >> 8) & 255, n & 255))
        .collect::<Vec<_>>()
        .concat();
    ok(installation.run(&["import", &installation.write("list.txt", list)]));
    let before = hosts(&installation);

    let (code, said) = interrupted(&installation, &["db", "backup", "backup.db"], "backup.db.part");
    assert!(
        code == Some(130) && said.contains("the backup was stopped; nothing of it is left"),
        "{code:?}: {said}"
    );
    assert_eq!(files(&installation), Vec::<String>::new());

    ok(backup(&installation, "backup.db"));
    let restore = ["db", "restore", "backup.db", "--force"];
    let (code, said) = interrupted(&installation, &restore, "hostatlas.db.restore.part");
    assert!(code == Some(130) && said.contains("nothing was changed"), "{code:?}: {said}");
    assert_eq!(files(&installation), ["backup.db"]);
    assert_eq!(hosts(&installation), before);
}

#[test]
fn a_backup_is_neither_written_to_nor_read_from_a_pipe() {
    let installation = Installation::imported();
    for arguments in [["db", "backup", "-"], ["db", "restore", "-"]] {
        let refused = installation.run(&arguments);
        assert!(refused.code == Some(2) && refused.stderr.contains("`-` is not a file"), "{refused:?}");
    }
    assert!(!installation.path("-").exists());
}

#[test]
fn nothing_is_restored_under_a_server() {
    let installation = Installation::located();
    ok(backup(&installation, "backup.db"));
    let server = installation.serve();
    let refused = installation.run(&["db", "restore", "backup.db", "--force"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("another process is the worker"), "{refused:?}");
    assert_eq!(server.stop("-TERM"), Some(0));
    ok(installation.run(&["db", "restore", "backup.db", "--force"]));
}

#[test]
fn a_file_that_is_no_backup_is_refused_by_name() {
    let installation = Installation::located();
    let before = exported(&installation, "hostatlas.db");
    let text = installation.write("notes.txt", "not a database at all");
    for (file, says) in [(text.as_str(), "is not a hostatlas database"), ("missing.db", "no such file")] {
        let refused = installation.run(&["db", "restore", file, "--force"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains(says) && refused.stderr.contains("nothing was changed"),
            "{refused:?}"
        );
    }
    assert_eq!(exported(&installation, "hostatlas.db"), before);
}
