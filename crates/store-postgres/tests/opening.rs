//! What may be opened, and what is said of everything else.

mod support;

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hostatlas_store::{AdminStore, COPY_TABLES, CopyStore, StoreError};
use hostatlas_store_postgres::{Mode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::{Cluster, TestDatabase, psql, server_url};

/// The newest migration.
const NEWEST: i64 = 5;
/// A test that waits for chance to bring several cases waits no longer.
const AT_MOST: Duration = Duration::from_mins(1);
const ALL_MODES: [Mode; 4] = [Mode::Create, Mode::Migrate, Mode::Existing, Mode::Inspect];

async fn open(url: &str, mode: Mode) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(OpenOptions::new(url, mode)).await
}

async fn refusal(url: &str, mode: Mode) -> StoreError {
    open(url, mode).await.err().expect("a refusal")
}

/// What is said of a database that cannot be reached.
async fn why_unreachable(url: &str) -> String {
    let error = refusal(url, Mode::Existing).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    error.to_string()
}

/// The part of a URL between its user and its database.
fn address(url: &str) -> String {
    let (_, rest) = url.split_once('@').expect("a user");
    rest.split('/').next().expect("an address").to_owned()
}

fn with_user(url: &str, user: &str) -> String {
    let (_, rest) = url.split_once('@').expect("a user");
    format!("postgres://{user}@{rest}")
}

fn tables(database: &TestDatabase) -> String {
    database
        .run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
        .expect("names")
}

#[tokio::test]
async fn an_empty_database_is_filled_only_by_those_who_may() {
    let database = TestDatabase::empty().expect("a database");
    let error = refusal(&database.url(), Mode::Existing).await;
    assert!(matches!(error, StoreError::SchemaBehind { found: 0, wanted: NEWEST }), "{error:?}");
    let inspected = open(&database.url(), Mode::Inspect).await.expect("an empty database");
    let status = inspected.schema_status().await.expect("a status");
    inspected.close().await;
    assert_eq!((status.found, status.wanted), (0, NEWEST));
    assert_eq!(tables(&database), "", "looking changed it");

    open(&database.url(), Mode::Migrate).await.expect("a new schema").close().await;

    let store = open(&database.url(), Mode::Existing).await.expect("the database");
    let status = store.schema_status().await.expect("a status");
    assert_eq!(status.found, NEWEST);
    assert!(status.engine.starts_with("PostgreSQL 1"), "{}", status.engine);
    assert!(status.bytes.is_some_and(|bytes| bytes > 1_000_000));
    let report = store.check().await.expect("a check");
    assert_eq!(report.findings, []);
}

/// Eight processes want the newest schema at the same time, and each gets it.
async fn assert_all_migrate(database: &TestDatabase) {
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { open(&url, Mode::Migrate).await?.schema_status().await })
        })
        .collect();
    for started in starting {
        let status = started.await.expect("no panic").expect("a migrated database");
        assert_eq!(status.found, NEWEST);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_migrate_at_once() {
    let database = TestDatabase::empty().expect("a database");
    assert_all_migrate(&database).await;
}

/// Where a transaction keeps its first view by default, whoever waited for the others would begin again what they did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_migrate_at_once_whatever_the_defaults_of_the_database_are() {
    let database = TestDatabase::empty().expect("a database");
    for setting in ["default_transaction_isolation = 'serializable'", "default_transaction_read_only = on"] {
        psql(&server_url(), &format!("ALTER DATABASE {} SET {setting}", database.name())).expect("a default");
    }
    assert_all_migrate(&database).await;
}

#[tokio::test]
async fn a_text_that_is_no_url_of_ours_is_refused_with_an_example() {
    let said = why_unreachable("mysql://me:secret@db.test/atlas").await;
    assert!(said.contains("postgres://") && !said.contains("secret"), "{said}");
    let said = why_unreachable("postgres://me:secret@127.0.0.1:port/atlas").await;
    assert!(!said.contains("secret"), "{said}");
    let said = why_unreachable("postgres://me:secret@127.0.0.1/atlas?poler=transaction").await;
    assert!(said.contains("`poler`") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let said = why_unreachable(&format!("postgres://me:secret@127.0.0.1:{port}/atlas")).await;
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("no server answers"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test]
async fn something_else_that_listens_there_is_not_taken_for_a_database() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // What is unread when it is closed would cut the answer off.
            let _ = stream.read(&mut [0; 1024]);
            // Who hangs up first does not matter.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let said = why_unreachable(&format!("postgres://me@127.0.0.1:{port}/atlas?sslmode=disable")).await;
    assert!(said.contains("does not speak"), "{said}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let said = why_unreachable(&format!("postgres://me@127.0.0.1:{port}/atlas")).await;
    assert!(said.contains("does not answer"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_missing_is_named_with_how_to_make_it() {
    let url = format!("postgres://postgres@{}/hostatlas_never_made", address(&server_url()));
    let said = why_unreachable(&url).await;
    assert!(said.contains("hostatlas_never_made") && said.contains("createdb"), "{said}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_never_repeated() {
    let cluster = Cluster::start().expect("a server");
    psql(&cluster.url(), "CREATE ROLE me LOGIN PASSWORD 'right-one'").expect("a role");
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    cluster.reload(|data| std::fs::write(data.join("pg_hba.conf"), rules)).expect("rules");
    // The server reads its rules a moment after it was asked to; by then it asks for passwords.
    let url = with_user(&cluster.url(), "me");
    for _ in 0..100 {
        if psql(&url, "SELECT 1").is_err() {
            break;
        }
    }

    let said = why_unreachable(&with_user(&cluster.url(), "me:wrong-one")).await;
    assert!(said.contains("password") && said.contains("correct the user"), "{said}");
    assert!(!said.contains("wrong-one"), "{said}");
    let none = why_unreachable(&url).await;
    assert!(none.contains("password"), "{none}");
    assert!(open(&with_user(&cluster.url(), "me:right-one"), Mode::Inspect).await.is_ok());
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_where_a_certificate_is_asked_for() {
    for sslmode in ["require", "verify-ca", "verify-full"] {
        let said = why_unreachable(&format!("{}?sslmode={sslmode}", server_url())).await;
        assert!(said.contains("encryption") && said.contains("sslmode"), "{said}");
    }
}

fn certificate(folder: &Path, name: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-batch", "-subj"])
        .arg(format!("/CN={name}"))
        .args(["-addext", &format!("subjectAltName=DNS:{name}")])
        .arg("-keyout")
        .arg(folder.join("server.key"))
        .arg("-out")
        .arg(folder.join("server.crt"))
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let cluster = Cluster::start().expect("a server");
    certificate(&cluster.data(), "db.test");
    cluster.own(&cluster.data().join("server.key")).expect("a key of the server's");
    psql(&cluster.url(), "ALTER SYSTEM SET ssl = on").expect("a setting");
    cluster.restart_immediate().expect("a server");

    assert!(open(&format!("{}?sslmode=require", cluster.url()), Mode::Inspect).await.is_ok());
    let said = why_unreachable(&format!("{}?sslmode=verify-full", cluster.url())).await;
    assert!(said.contains("certificate") && said.contains("sslrootcert"), "{said}");

    let authority = cluster.data().join("server.crt");
    let known = format!("{}?sslmode=verify-full&sslrootcert={}", cluster.url(), authority.display());
    let said = why_unreachable(&known).await;
    assert!(said.contains("certificate"), "its name is not the host's: {said}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_whatever_is_asked() {
    let database = support::migrated();
    database.run("UPDATE hostatlas_schema SET version = 999").expect("an update");
    for mode in ALL_MODES {
        let error = refusal(&database.url(), mode).await;
        assert!(matches!(error, StoreError::SchemaNewer { found: 999, known: NEWEST }), "{error:?}");
    }
}

#[tokio::test]
async fn an_older_schema_is_opened_only_to_look_or_to_migrate() {
    let database = support::migrated();
    // As version 2 left it.
    database
        .run(
            "DROP TABLE worker, duty, schedule, copying; ALTER TABLE job_kind DROP COLUMN cap; \
             UPDATE hostatlas_schema SET version = 2",
        )
        .expect("an older schema");
    let error = refusal(&database.url(), Mode::Existing).await;
    assert!(matches!(error, StoreError::SchemaBehind { found: 2, wanted: NEWEST }), "{error:?}");
    let store = open(&database.url(), Mode::Inspect).await.expect("the database");
    assert_eq!(store.schema_status().await.expect("a status").found, 2);
    store.close().await;

    open(&database.url(), Mode::Migrate).await.expect("a newer schema").close().await;
    assert!(open(&database.url(), Mode::Existing).await.is_ok());
}

#[tokio::test]
async fn a_migration_that_was_cut_off_is_refused_and_can_be_begun_again() {
    let database = support::migrated();
    database
        .run(
            "DROP TABLE worker, duty, schedule, copying; ALTER TABLE job_kind DROP COLUMN cap; \
             UPDATE hostatlas_schema SET version = 2, migrating = 3",
        )
        .expect("half a migration");
    let error = refusal(&database.url(), Mode::Existing).await;
    assert!(matches!(error, StoreError::SchemaHalf { migration: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("hostatlas db migrate"), "{error}");

    open(&database.url(), Mode::Migrate).await.expect("the rest").close().await;
    assert!(open(&database.url(), Mode::Existing).await.is_ok());
}

#[tokio::test]
async fn a_backup_that_was_restored_in_part_is_refused() {
    let database = support::migrated();
    database.run("DROP TABLE service").expect("less than all");
    for mode in ALL_MODES {
        let error = refusal(&database.url(), mode).await;
        assert!(matches!(error, StoreError::SchemaHalf { .. }), "{error:?}");
        assert!(error.to_string().contains("`service`"), "{error}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    let database = TestDatabase::empty().expect("a database");
    database.run("CREATE TABLE bookmark (url text)").expect("a table");
    for mode in ALL_MODES {
        let error = refusal(&database.url(), mode).await;
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
        assert!(error.to_string().contains("createdb"), "{error}");
    }
    assert_eq!(tables(&database).trim(), "bookmark");
}

#[tokio::test]
async fn a_user_who_may_not_make_tables_is_told_what_is_missing() {
    let cluster = Cluster::start().expect("a server");
    psql(&cluster.url(), "CREATE ROLE me LOGIN").expect("a role");
    let error = refusal(&with_user(&cluster.url(), "me"), Mode::Migrate).await;
    let StoreError::NotWritable { remedy, .. } = &error else { panic!("{error:?}") };
    assert!(remedy.contains("GRANT CREATE"), "{remedy}");
}

#[tokio::test]
async fn a_user_who_does_not_own_the_tables_is_told_to() {
    let cluster = Cluster::start().expect("a server");
    open(&cluster.url(), Mode::Migrate).await.expect("a schema").close().await;
    psql(&cluster.url(), "CREATE ROLE me LOGIN").expect("a role");
    let me = with_user(&cluster.url(), "me");
    let said = why_unreachable(&me).await;
    assert!(said.contains("`ALTER TABLE ... OWNER TO`"), "{said}");

    // Rights on the tables will do for reading and writing, and for nothing that only an owner does.
    psql(&cluster.url(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO me").expect("granted");
    let store = open(&me, Mode::Existing).await.expect("a store");
    let error = store.tidy().await.expect_err("an index of somebody else's table");
    let StoreError::NotWritable { remedy, .. } = &error else { panic!("{error:?}") };
    assert!(remedy.contains("`ALTER TABLE ... OWNER TO`"), "{remedy}");
    store.close().await;

    let owned = "DO $$ DECLARE name text; BEGIN
                     FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                         EXECUTE format('ALTER TABLE %I OWNER TO me', name);
                     END LOOP;
                 END $$";
    for statement in [owned, "ALTER DATABASE postgres OWNER TO me"] {
        psql(&cluster.url(), statement).expect("what was said");
    }
    let store = open(&me, Mode::Existing).await.expect("a store");
    while store.tidy().await.expect("housekeeping") {}
    // What ends a copy sets the numbers that come next.
    store.copy_begin("sqlite:///srv/hostatlas.db").await.expect("begun");
    for table in COPY_TABLES {
        store.copy_write(table, Vec::new(), true).await.expect("written");
    }
    store.copy_end().await.expect("ended");
    store.close().await;
}

#[tokio::test]
async fn a_database_that_lets_nobody_in_says_what_would() {
    let cluster = Cluster::start().expect("a server");
    psql(&cluster.url(), "CREATE DATABASE closed ALLOW_CONNECTIONS false").expect("a database");
    for statement in
        ["CREATE DATABASE private", "REVOKE CONNECT ON DATABASE private FROM public", "CREATE ROLE me LOGIN"]
    {
        psql(&cluster.url(), statement).expect("done");
    }
    let closed = why_unreachable(&cluster.url_of("closed")).await;
    assert!(closed.contains("ALLOW_CONNECTIONS true"), "{closed}");
    let private = why_unreachable(&with_user(&cluster.url_of("private"), "me")).await;
    assert!(private.contains("GRANT CONNECT"), "{private}");
}

#[tokio::test]
async fn an_encoding_that_cannot_hold_names_is_refused() {
    let cluster = Cluster::start().expect("a server");
    let statement = "CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    psql(&cluster.url(), statement).expect("a database");
    let said = why_unreachable(&cluster.url_of("narrow")).await;
    assert!(said.contains("LATIN1") && said.contains("--encoding=UTF8"), "{said}");
}

#[tokio::test]
async fn work_goes_on_by_itself_after_the_server_crashed() {
    let cluster = Cluster::start().expect("a server");
    let store = open(&cluster.url(), Mode::Migrate).await.expect("a store");
    store.schema_status().await.expect("a status");
    cluster.stop_immediately().expect("a crash");
    let error = store.schema_status().await.expect_err("nobody is there");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    cluster.start_again().expect("a server");
    store.schema_status().await.expect("a status");
}

/// A server of one moment: it says this to whoever connects, and hangs up.
fn server_that_says(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // What is unread when it is closed would cut the answer off.
            let _ = stream.read(&mut [0; 1024]);
            // Who hangs up first does not matter.
            let _ = stream.write_all(answer);
        }
    });
    format!("postgres://me@127.0.0.1:{port}/atlas?sslmode=disable")
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_asked_again_in_a_moment() {
    let states: [(&'static [u8], &str); 4] = [
        (b"E\0\0\0\x2eSFATAL\0C57P03\0Mthe system is starting up\0\0", "starting up"),
        (b"E\0\0\0\x2eSFATAL\0C57P01\0Mterminated by a command..\0\0", "terminated"),
        (b"E\0\0\0\x2eSFATAL\0C57P02\0Mterminated after a crash.\0\0", "after a crash"),
        (b"", "was cut"),
    ];
    for (answer, says) in states {
        let said = why_unreachable(&server_that_says(answer)).await;
        assert!(said.contains(says) && said.contains("in a moment"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_server_that_comes_back_gets_it() {
    let cluster = Cluster::start().expect("a server");
    open(&cluster.url(), Mode::Migrate).await.expect("a schema").close().await;
    cluster.stop_immediately().expect("a crash");
    let mut options = OpenOptions::new(cluster.url(), Mode::Existing);
    options.patience = Duration::from_mins(1);
    let opening = tokio::spawn(PostgresStore::open(options));
    let started = tokio::task::spawn_blocking(move || cluster.start_again().map(|()| cluster)).await;
    let _cluster = started.expect("no panic").expect("a server");
    let store = opening.await.expect("no panic").expect("it waited");
    store.schema_status().await.expect("a status");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_opens_while_the_server_crashes_is_told_so() {
    let cluster = Cluster::start().expect("a server");
    let url = cluster.url();
    open(&url, Mode::Migrate).await.expect("a schema").close().await;
    let enough = Arc::new(AtomicBool::new(false));
    let crashing = tokio::task::spawn_blocking({
        let enough = Arc::clone(&enough);
        move || {
            let began = Instant::now();
            while !enough.load(Ordering::Relaxed) && began.elapsed() < AT_MOST {
                cluster.restart_immediate()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok::<_, std::io::Error>(cluster)
        }
    });
    let (mut opened, mut refused, began) = (0, 0, Instant::now());
    while (opened < 5 || refused < 5) && began.elapsed() < AT_MOST {
        match open(&url, Mode::Existing).await {
            Ok(store) => {
                store.close().await;
                opened += 1;
            }
            Err(StoreError::Unreachable { .. }) => refused += 1,
            Err(error) => panic!("{error}: {error:?}"),
        }
    }
    enough.store(true, Ordering::Relaxed);
    assert!(opened >= 5 && refused >= 5, "{opened} opened, {refused} refused");
    crashing.await.expect("no panic").expect("a server");
}

#[tokio::test]
async fn what_does_not_pass_is_not_waited_for() {
    let url = format!("postgres://postgres@{}/hostatlas_never_made", address(&server_url()));
    let mut options = OpenOptions::new(url, Mode::Existing);
    options.patience = Duration::from_hours(1);
    let error = PostgresStore::open(options).await.err().expect("a refusal");
    assert!(error.to_string().contains("createdb"), "{error}");
}
