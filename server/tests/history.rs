//! What a running server shows after a copy was put in the place of its database: what is in the copy, and what came
//! since, without a restart. Numbers that have caught up meanwhile hide nothing.

mod support;

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use hostatlas_test_postgres::Cluster;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use support::{Ended, Installation, PATIENCE, Server, client};

/// Two hosts in London.
const BEFORE_THE_COPY: &str =
    "open tcp 80 193.61.165.138 1795434001\nopen tcp 80 193.61.165.139 1795434001\n";
/// One more in London, and one in Mountain View: a place that the copy does not have.
const AFTER_THE_COPY: &str = "open tcp 80 193.61.170.1 1795434001\nopen tcp 80 8.8.8.8 1795434001\n";
/// Dublin, a place that takes the number which Mountain View had; and Mountain View again.
const AFTER_THE_RETURN: &str = "open tcp 80 2a00:1450::1 1795434001\nopen tcp 80 8.8.8.8 1795434001\n";
/// What comes from places and change numbers that a server keeps in memory.
const SHOWN: [&str; 6] = [
    "/api/v1/map?bbox=-180,-90,180,90&zoom=2&q=",
    "/api/v1/map?bbox=-180,-90,180,90&zoom=2&q=port:80",
    "/api/v1/coverage",
    "/api/v1/coverage/countries",
    "/api/v1/places/1",
    "/api/v1/places/2",
];

/// An installation whose database can be copied aside and put back.
enum Engine {
    Sqlite,
    Postgres(Cluster),
}

struct Test {
    installation: Installation,
    engine: Engine,
}

impl Test {
    fn on_sqlite() -> Self {
        let test = Self { installation: Installation::new(), engine: Engine::Sqlite };
        test.done(&["db", "migrate"]);
        test
    }

    fn on_postgres() -> Self {
        let engine = Engine::Postgres(Cluster::start().expect("a server"));
        let test = Self { installation: Installation::new(), engine };
        test.done(&["db", "migrate"]);
        test
    }

    fn variables(&self) -> Vec<(String, String)> {
        match &self.engine {
            Engine::Sqlite => Vec::new(),
            Engine::Postgres(cluster) => vec![("HOSTATLAS_DATABASE_URL".to_owned(), cluster.url())],
        }
    }

    fn done(&self, arguments: &[&str]) -> Ended {
        let ended = self.installation.run_with(&self.variables(), arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended
    }

    fn import(&self, lines: &str) {
        let name = self.installation.write("scan.list", format!("#masscan\n{lines}"));
        self.done(&["import", &name]);
    }

    fn serve(&self, more: &[&str]) -> Server {
        self.installation.serve_online(&self.variables(), more)
    }

    fn copy_aside(&self) {
        match &self.engine {
            Engine::Sqlite => drop(self.done(&["db", "backup", "copy.db"])),
            Engine::Postgres(cluster) => {
                cluster.stop_and_copy("copy").expect("a copy");
                cluster.start_again().expect("a server");
            }
        }
    }

    /// As an operator does it: the files that are there are moved away, and a copy takes their name.
    fn put_back(&self) {
        match &self.engine {
            Engine::Sqlite => {
                let path = |name: &str| self.installation.path(name);
                fs::copy(path("copy.db"), path("copy.of.copy.db")).expect("a copy");
                for suffix in ["-wal", "-shm", ""] {
                    let (from, to) = (format!("hostatlas.db{suffix}"), format!("aside.db{suffix}"));
                    fs::rename(path(&from), path(&to)).expect("moved away");
                }
                fs::rename(path("copy.of.copy.db"), path("hostatlas.db")).expect("put in its place");
            }
            Engine::Postgres(cluster) => {
                cluster.stop_and_put_back("copy").expect("the copy");
                cluster.start_again().expect("a server");
            }
        }
    }

    /// The change numbers of all topics.
    async fn numbers(&self) -> Vec<i64> {
        match &self.engine {
            Engine::Sqlite => {
                let numbers = "SELECT number FROM change ORDER BY topic";
                sqlx::query_scalar(numbers).fetch_all(&mut self.connect().await).await.expect("numbers")
            }
            Engine::Postgres(cluster) => {
                let numbers = "SELECT number + (SELECT count(*) FROM change_delta WHERE change_delta.topic = change.topic) \
                               FROM change ORDER BY topic";
                let psql = Command::new(cluster.bin().join("psql"))
                    .args([&cluster.url(), "-Atc", numbers])
                    .output()
                    .expect("psql runs");
                let text = String::from_utf8(psql.stdout).expect("UTF-8");
                text.lines().map(|line| line.parse().expect("a number")).collect()
            }
        }
    }

    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(self.installation.path("hostatlas.db"))
            .busy_timeout(Duration::from_secs(10));
        options.connect().await.expect("a database")
    }

    /// Waits until the server shows what one does that has just been started, and answers the map.
    async fn shows_the_truth(&self, server: &Server) -> Value {
        let fresh = self.serve(&["--no-worker"]);
        let truth = shown(&fresh).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = shown(server).await;
            if shown == truth {
                return truth[0].1.clone();
            }
            assert!(Instant::now() < deadline, "it shows {shown:?} and not {truth:?}: {}", server.said());
        }
    }
}

/// Status and answer for each of [`SHOWN`].
async fn shown(server: &Server) -> Vec<(u16, Value)> {
    let mut all = Vec::new();
    for path in SHOWN {
        let answer = client().get(server.url(path)).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body: Value = if status == 200 { answer.json().await.expect("JSON") } else { Value::Null };
        all.push((status, body));
    }
    all
}

fn signal(server: &Server, signal: &str) {
    let sent = Command::new("kill").args([signal, &server.process_id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

async fn a_copy_is_shown_although_its_numbers_have_caught_up(test: &Test) {
    test.import(BEFORE_THE_COPY);
    test.done(&["worker", "--drain"]);
    test.copy_aside();
    test.import(AFTER_THE_COPY);
    test.done(&["worker", "--drain"]);
    let server = test.serve(&["--no-worker"]);
    assert_eq!(test.shows_the_truth(&server).await["hosts"], 4);
    let before = test.numbers().await;

    // Nobody looks while the numbers catch up.
    signal(&server, "-STOP");
    test.put_back();
    for number in 0.. {
        test.import(&format!("open tcp 80 193.61.200.{number} 1795434001\n"));
        test.done(&["worker", "--drain"]);
        let now = test.numbers().await;
        if now.iter().zip(&before).all(|(now, before)| now >= before) {
            break;
        }
        assert!(number < 50, "{now:?} does not reach {before:?}");
    }
    signal(&server, "-CONT");

    let map = test.shows_the_truth(&server).await;
    assert_eq!(map["places"], 1, "Mountain View is gone: {map}");
    // And it goes on from there.
    test.import(AFTER_THE_RETURN);
    test.done(&["worker", "--drain"]);
    assert_eq!(test.shows_the_truth(&server).await["places"], 3);
    test.done(&["db", "check"]);
}

/// A worker remembers the rows of places. Those that the copy does not have are other places there.
async fn hosts_are_put_on_the_places_of_the_copy(test: &Test) {
    let server = test.serve(&[]);
    let located = async |hosts: u64| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let coverage = client().get(server.url("/api/v1/coverage")).send().await.expect("an answer");
            let coverage: Value = coverage.json().await.unwrap_or_default();
            if (&coverage["located"], &coverage["pending"]) == (&json!(hosts), &json!(0)) {
                return;
            }
            assert!(Instant::now() < deadline, "{coverage}: {}", server.said());
        }
    };
    test.import(BEFORE_THE_COPY);
    located(2).await;
    test.copy_aside();
    test.import(AFTER_THE_COPY);
    located(4).await;

    test.put_back();
    test.import(AFTER_THE_RETURN);

    located(4).await;
    for (host, city) in
        [("8.8.8.8", "Mountain View"), ("2a00:1450::1", "Dublin"), ("193.61.165.138", "London")]
    {
        let shown = test.done(&["hosts", "show", host, "--json"]).json();
        assert_eq!(shown["location"]["city"], city, "{shown}");
    }
    test.shows_the_truth(&server).await;
    test.done(&["db", "check"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_postgresql_server_s_files_is_shown() {
    a_copy_is_shown_although_its_numbers_have_caught_up(&Test::on_postgres()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_put_on_the_places_of_a_copy_of_a_postgresql_server_s_files() {
    hosts_are_put_on_the_places_of_the_copy(&Test::on_postgres()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_sqlite_file_is_shown() {
    a_copy_is_shown_although_its_numbers_have_caught_up(&Test::on_sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_put_on_the_places_of_a_copy_of_an_sqlite_file() {
    hosts_are_put_on_the_places_of_the_copy(&Test::on_sqlite()).await;
}

/// As `.restore` of the `sqlite3` program does: the same file has the rows of the copy from one moment to the next.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_back_within_an_sqlite_file_are_shown() {
    let test = Test::on_sqlite();
    test.import(BEFORE_THE_COPY);
    test.done(&["worker", "--drain"]);
    test.copy_aside();
    test.import(AFTER_THE_COPY);
    test.done(&["worker", "--drain"]);
    let server = test.serve(&["--no-worker"]);
    assert_eq!(test.shows_the_truth(&server).await["hosts"], 4);

    let mut connection = test.connect().await;
    let attach = format!("ATTACH '{}' AS copy", test.installation.path("copy.db").display());
    sqlx::raw_sql(AssertSqlSafe(attach)).execute(&mut connection).await.expect("attached");
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM copy.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("tables");
    let each = tables.iter().map(|table| {
        format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM copy.{table};")
    });
    let restore = format!("BEGIN IMMEDIATE; {} COMMIT", each.collect::<String>());
    sqlx::raw_sql(AssertSqlSafe(restore)).execute(&mut connection).await.expect("restored");

    assert_eq!(test.shows_the_truth(&server).await["hosts"], 2);
    assert!(server.said().contains("The database went back to an earlier state"), "{}", server.said());
}
