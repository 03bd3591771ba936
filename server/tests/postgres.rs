//! The built binary on `PostgreSQL`, from an empty database to a search.

mod support;

use std::{
    fmt::Write,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use hostatlas_test_postgres::{Cluster, TestDatabase, psql};
use serde_json::json;
use support::{Ended, Installation, PATIENCE, Running, SCAN, Server, client, post_json};

/// Hosts of the larger scan: many batches for each of two workers.
const MANY: u32 = 20_000;

/// Hosts of the small scan that are looked up.
const JOBS: i64 = 5;
/// A lease that was just renewed lasts 25 seconds.
const LONG_BEFORE_A_LEASE_ENDS: Duration = Duration::from_secs(10);

/// A folder, and an empty database beside it.
struct OnPostgres {
    installation: Installation,
    database: TestDatabase,
}

impl OnPostgres {
    fn empty() -> Self {
        let database = TestDatabase::empty().expect("a database");
        Self { installation: Installation::new(), database }
    }

    fn migrated() -> Self {
        let test = Self::empty();
        test.done(&["db", "migrate"]);
        test
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![("HOSTATLAS_DATABASE_URL".to_owned(), self.database.url())]
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.installation.run_with(&self.variables(), arguments)
    }

    /// Runs what is expected to succeed.
    fn done(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended
    }

    fn serve(&self) -> Server {
        self.installation.serve_online(&self.variables(), &[])
    }

    /// The processes that run jobs, once there are so many: the commands that they were started with.
    fn workers(&self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listed = self.done(&["workers", "--ndjson", "--fields", "command"]).json_lines();
            if listed.len() == count {
                let commands = listed.iter().map(|worker| worker["command"].as_str().unwrap_or_default());
                return commands.map(str::to_owned).collect();
            }
            assert!(Instant::now() < deadline, "{listed:?}");
        }
    }

    fn import(&self, scan: &str) {
        let name = self.installation.write("scan.json", scan);
        self.done(&["import", &name]);
    }
}

#[test]
fn an_installation_works_from_the_first_import_to_a_search() {
    let test = OnPostgres::migrated();
    test.import(SCAN);
    let drained = test.done(&["worker", "--drain"]);
    assert_eq!(drained.json()["completed"], json!(5), "{drained:?}");

    let coverage = test.done(&["stats", "coverage", "--json"]).json();
    let counts =
        ["total", "located", "unlocated", "pending", "not_applicable"].map(|name| coverage[name].clone());
    assert_eq!(counts, [json!(6), json!(4), json!(1), json!(0), json!(1)], "{coverage}");

    let found = test.done(&["hosts", "search", "country:GB", "--fields", "ip,city", "--ndjson"]);
    let mut found: Vec<_> = found.json_lines().iter().map(|host| host["ip"].clone()).collect();
    found.sort_by_key(ToString::to_string);
    assert_eq!(found, [json!("193.61.165.138"), json!("193.61.165.139"), json!("193.61.170.1")]);

    let listed = test.done(&["jobs", "list", "--state", "completed", "--ndjson"]);
    assert_eq!(listed.json_lines().len(), 5, "{listed:?}");
    test.done(&["db", "check"]);
    // Nothing is left to migrate, which is no error.
    test.done(&["db", "migrate"]);
}

#[test]
fn two_workers_share_the_queue_and_do_nothing_twice() {
    let test = OnPostgres::migrated();
    test.import(&many_hosts());
    let start = || {
        let mut command = test.installation.command(&["worker", "--drain"]);
        command.envs(test.variables()).spawn().expect("the binary runs")
    };
    let workers = [start(), start()];
    let mut completed = 0;
    for worker in workers {
        let ended = test.installation.ended(worker.wait_with_output().expect("it ends"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        completed += ended.json()["completed"].as_u64().expect("a number");
    }
    assert_eq!(completed, u64::from(MANY));
    // Each was claimed once and ended at its first attempt.
    let others = "SELECT count(*) FROM job WHERE NOT (state = 4 AND attempt = 1 AND lease_token = 1)";
    assert_eq!(test.database.run(others).expect("a count").trim(), "0");
    let coverage = test.done(&["stats", "coverage", "--json"]).json();
    assert_eq!((&coverage["located"], &coverage["pending"]), (&json!(MANY), &json!(0)), "{coverage}");
    test.done(&["db", "check"]);
}

#[test]
fn an_import_before_the_first_migration_says_what_to_do() {
    let test = OnPostgres::empty();
    let scan = test.installation.write("scan.json", SCAN);
    let refused = test.run(&["import", &scan]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("hostatlas db migrate"), "{refused:?}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(test.database.run(tables).expect("a count").trim(), "0", "nothing was made");
    // What it says to do helps.
    test.done(&["db", "migrate"]);
    test.done(&["import", &scan]);
}

#[test]
fn a_worker_that_starts_before_its_server_waits_for_it() {
    let cluster = Cluster::start().expect("a server");
    let installation = Installation::new();
    let variables = [("HOSTATLAS_DATABASE_URL".to_owned(), cluster.url())];
    let migrated = installation.run_with(&variables, &["db", "migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    cluster.stop_immediately().expect("a crash");

    // What people ask for is refused at once.
    let refused = installation.run_with(&variables, &["stats", "coverage"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("start it"), "{refused:?}");
    let mut worker = installation.command(&["worker", "--drain"]);
    let worker = worker.envs(variables).spawn().expect("the binary runs");
    cluster.start_again().expect("a server");
    let ended = installation.ended(worker.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_server_that_cannot_be_reached_is_named_without_its_password() {
    let installation = Installation::new();
    let variables = [(
        "HOSTATLAS_DATABASE_URL".to_owned(),
        format!("postgres://atlas:{}@127.0.0.1:1/atlas", support::SECRET),
    )];
    let refused = installation.run_with(&variables, &["stats", "coverage"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("127.0.0.1:1"), "{refused:?}");
    assert!(!refused.stderr.contains(support::SECRET), "{refused:?}");
}

async fn page(server: &Server, path: &str) -> (u16, String) {
    let answer = client().get(server.url(path)).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// A rolling restart: somebody has run `db migrate` with the next version, and nothing was restarted yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_ends_the_workers_of_the_version_before_and_no_page() {
    let test = OnPostgres::migrated();
    test.import(SCAN);
    let server = test.serve();
    let mut worker = test.installation.command(&["worker"]);
    worker.envs(test.variables());
    let mut worker = Running::start(worker);
    let mut listed = test.workers(2);
    listed.sort();
    assert_eq!(listed, ["serve", "worker"]);

    test.database.run("UPDATE hostatlas_schema SET version = 99").expect("a newer schema");

    let (code, said) = worker.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the database is at migration 99, which is newer than this program's"), "{said}");
    assert!(said.contains("hint: use the version of hostatlas that wrote it, or a later one"), "{said}");
    let deadline = Instant::now() + PATIENCE;
    while !server.said().contains("No jobs are run here any more") {
        assert!(Instant::now() < deadline, "{}", server.said());
    }
    for path in ["/", "/hosts", "/jobs", "/workers", "/api/v1/coverage"] {
        assert_eq!(page(&server, path).await.0, 200, "{path}");
    }
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// The clock of the database is an hour and a half behind this machine's.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_and_who_was_heard_of_goes_by_the_clock_of_the_database() {
    let test = OnPostgres::migrated();
    let behind = "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
                  $$ SELECT pg_catalog.clock_timestamp() - interval '90 minutes' $$";
    test.database.run(behind).expect("another clock");
    // The schema that has it comes before the engine's own.
    let first = format!("ALTER DATABASE \"{}\" SET search_path = public, pg_catalog", test.database.name());
    test.database.run(&first).expect("in use");

    test.done(&["schedules", "set", "check", "30 3 * * *"]);
    let schedules = test.done(&["schedules", "--json", "--fields", "task,next_at"]).json();
    let server = test.serve();
    test.workers(1);
    let (_, workers) = page(&server, "/workers").await;
    let is_behind = "SELECT heard_at < extract(epoch FROM now() - interval '80 minutes') * 1000 FROM worker";
    assert_eq!(test.database.run(is_behind).expect("an answer").trim(), "t", "the clock is in use");

    let next = schedules[2]["next_at"].as_str().expect("a time");
    assert!(next.contains("T03:30:0"), "{schedules}");
    assert!(workers.contains("1\u{a0}process on 1\u{a0}machine"), "{workers}");
    for ago in ["min ago", "h ago"] {
        assert!(!workers.contains(ago), "heard of it {ago}: {workers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_by_schedule_is_refused_with_what_to_use_instead() {
    let test = OnPostgres::migrated();
    let server = test.serve();
    for action in ["resume", "run"] {
        let ended = test.run(&["schedules", action, "backup"]);
        assert!(ended.code == Some(2) && ended.stderr.contains("pg_dump --format=custom"), "{ended:?}");
        let path = format!("/api/v1/schedules/backup/{action}");
        let (status, problem) = post_json(&server, &path, &json!(null)).await;
        assert_eq!((status, &problem["code"]), (400, &json!("not_supported")), "{problem}");
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("pg_dump")), "{problem}");
    }
    let states = test.done(&["schedules", "--json", "--fields", "task,state,started_at"]).json();
    assert_eq!(states[3], json!({"task": "backup", "state": "paused", "started_at": null}));
    test.done(&["schedules", "run", "check"]);
}

/// The session of a killed process ends with it, and nobody waits for its leases of 25 seconds. How soon that is on a machine
/// with nothing else to do `proof kill-postgres` measures; here other tests run beside.
#[test]
fn the_jobs_of_a_worker_that_is_killed_run_again_before_their_leases_end() {
    let test = OnPostgres::migrated();
    test.import(SCAN);
    // Whoever writes what it found waits for the hosts, and goes on to try: its jobs stay running.
    let url = test.database.url();
    let holding =
        thread::spawn(move || psql(&url, "SELECT id FROM host FOR UPDATE; SELECT pg_sleep(120)").map(drop));
    let number =
        |sql: &str| -> i64 { test.database.run(sql).expect("a number").trim().parse().expect("a number") };
    let until = |what: &str, sql: &str, expected: i64| {
        let deadline = Instant::now() + PATIENCE;
        while number(sql) != expected {
            assert!(Instant::now() < deadline, "{what}: {}", number(sql));
        }
    };
    let holds = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event = 'PgSleep'";
    until("the hosts are held", holds, 1);
    let start = || {
        let mut command = test.installation.command(&["worker"]);
        // A pipe that nobody reads would stop it.
        command.envs(test.variables()).stdout(Stdio::null()).stderr(Stdio::null());
        Running::start(command)
    };
    let running = "SELECT count(*) FROM job WHERE state = 3";
    let killed = start();
    until("the first works on all jobs", running, JOBS);
    let first = number("SELECT DISTINCT claimed_by FROM job WHERE state = 3");
    let _second = start();
    let looks = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND query LIKE 'SELECT worker.id%'";
    until("both have looked at each other", looks, 2);

    let died = Instant::now();
    drop(killed);
    let again =
        format!("SELECT count(*) FROM job WHERE state = 3 AND claimed_by <> {first} AND crash_count = 1");
    until("the second works on all jobs", &again, JOBS);

    println!("they ran again after {:?}", died.elapsed());
    assert!(died.elapsed() < LONG_BEFORE_A_LEASE_ENDS, "{:?}", died.elapsed());
    let free = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event = 'PgSleep'";
    assert_eq!(number(free), 1);
    assert!(holding.join().expect("no panic").is_err(), "the hosts were held to the end");
}

/// A scan of neighbours, all of them in London.
fn many_hosts() -> String {
    let mut scan = String::from("[\n");
    for number in 0..MANY {
        let (high, low) = (number / 256, number % 256);
        let end = if number + 1 == MANY { "\n" } else { ",\n" };
        let line = format!(
            r#"{{"ip":"193.61.{high}.{low}","timestamp":"1795434001","ports":[{{"port":25,"proto":"tcp","status":"open","reason":"syn-ack","ttl":117}}]}}{end}"#
        );
        write!(scan, "{line}").expect("memory");
    }
    scan + "]\n"
}
