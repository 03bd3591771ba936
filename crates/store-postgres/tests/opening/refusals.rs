//! What is said of a server or a database that is of no use, and what would help.

use std::{net::TcpListener, path::Path, process::Command};

use hostatlas_store::{AdminStore, COPY_TABLES, CopyStore, StoreError};
use hostatlas_store_postgres::OpenMode;
use hostatlas_test_postgres::{Cluster, psql, server_url};

use crate::{
    address,
    support::{open, refusal, server_that_says, tidy, until},
    why_unreachable, with_user,
};

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
    let said = why_unreachable(&server_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
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
    until("the server asks for passwords", async || psql(&url, "SELECT 1").is_err()).await;

    let said = why_unreachable(&with_user(&cluster.url(), "me:wrong-one")).await;
    assert!(said.contains("password") && said.contains("correct the user"), "{said}");
    assert!(!said.contains("wrong-one"), "{said}");
    let none = why_unreachable(&url).await;
    assert!(none.contains("password"), "{none}");
    assert!(open(&with_user(&cluster.url(), "me:right-one"), OpenMode::Inspect).await.is_ok());
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

    assert!(open(&format!("{}?sslmode=require", cluster.url()), OpenMode::Inspect).await.is_ok());
    let said = why_unreachable(&format!("{}?sslmode=verify-full", cluster.url())).await;
    assert!(said.contains("certificate") && said.contains("sslrootcert"), "{said}");

    let authority = cluster.data().join("server.crt");
    let known = format!("{}?sslmode=verify-full&sslrootcert={}", cluster.url(), authority.display());
    let said = why_unreachable(&known).await;
    assert!(said.contains("certificate"), "its name is not the host's: {said}");
}

#[tokio::test]
async fn a_user_who_may_not_make_tables_is_told_what_is_missing() {
    let cluster = Cluster::start().expect("a server");
    psql(&cluster.url(), "CREATE ROLE me LOGIN").expect("a role");
    let error = refusal(&with_user(&cluster.url(), "me"), OpenMode::Migrate).await;
    let StoreError::NotWritable { remedy, .. } = &error else { panic!("{error:?}") };
    assert!(remedy.contains("GRANT CREATE"), "{remedy}");
}

#[tokio::test]
async fn a_user_who_does_not_own_the_tables_is_told_to() {
    let cluster = Cluster::start().expect("a server");
    open(&cluster.url(), OpenMode::Migrate).await.expect("a schema").close().await;
    psql(&cluster.url(), "CREATE ROLE me LOGIN").expect("a role");
    let me = with_user(&cluster.url(), "me");
    let said = why_unreachable(&me).await;
    assert!(said.contains("`ALTER TABLE ... OWNER TO`"), "{said}");

    // Rights on the tables will do for reading and writing, and for nothing that only an owner does.
    psql(&cluster.url(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO me").expect("granted");
    let store = open(&me, OpenMode::Existing).await.expect("a store");
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
    let store = open(&me, OpenMode::Existing).await.expect("a store");
    tidy(&store).await;
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
