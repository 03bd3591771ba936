//! Everything that people get wrong: one clear message with a remedy and the right exit code, nothing panics, and what
//! was good is kept.

use std::fs;

use crate::support::{Ended, Installation, SCAN};

/// The shape of every refusal.
fn assert_refused(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.starts_with("error: ") || ended.stderr.contains("\nerror: "), "{ended:?}");
    assert!(ended.stderr.contains(says), "{says} is not in {}", ended.stderr);
    let remedy = ["hint: ", "tip: ", "For more information"].iter().any(|word| ended.stderr.contains(word));
    assert!(remedy, "no remedy in {}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

fn hosts(installation: &Installation) -> u64 {
    installation.run(&["stats", "coverage"]).json()["total"].as_u64().expect("a count")
}

#[test]
fn a_missing_file() {
    let installation = Installation::new();
    assert_refused(&installation.run(&["import", "nothing.json"]), 1, "cannot read `nothing.json`");
}

#[test]
fn a_directory() {
    let installation = Installation::new();
    assert_refused(&installation.run(&["import", "mmdb"]), 1, "`mmdb` is a directory");
}

#[test]
fn a_binary_that_is_no_scan() {
    let installation = Installation::new();
    installation.write(
        "picture.png",
        [0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 255],
    );
    assert_refused(&installation.run(&["import", "picture.png"]), 1, "picture.png");
}

#[test]
fn text_that_is_no_scan() {
    let installation = Installation::new();
    installation.write("letter.txt", "Dear Sir or Madam,\nI write to you about the weather.\n");
    assert_refused(&installation.run(&["import", "letter.txt"]), 1, "letter.txt");
}

#[test]
fn an_empty_file_is_a_scan_that_found_nothing() {
    let installation = Installation::new();
    installation.write("empty.json", "");
    let ended = installation.run(&["import", "empty.json", "--json"]);
    assert_eq!((ended.code, &ended.json()["hosts_seen"]), (Some(0), &0.into()), "{ended:?}");
}

#[test]
fn a_scan_cut_short_keeps_what_was_whole() {
    let installation = Installation::new();
    let cut = SCAN.find("45.45.45.45").expect("in the scan");
    installation.write("cut.json", &SCAN[..cut]);
    let ended = installation.run(&["import", "cut.json", "--json"]);
    assert_eq!((ended.code, &ended.json()["truncated"]), (Some(0), &true.into()), "{ended:?}");
    assert_eq!(hosts(&installation), 4);
}

#[test]
fn bad_lines_among_good_ones_are_named() {
    let installation = Installation::new();
    installation.write("mixed.list", "#masscan\nopen tcp 80 8.8.8.8 1795434087\nopen tcp 99999 8.8.4.4 1795434087\nopen tcp 80 nobody 1\n# end\n");
    let ended = installation.run(&["import", "mixed.list", "--json"]);
    assert_eq!((ended.code, &ended.json()["lines"]["bad"]), (Some(3), &2.into()), "{ended:?}");
    assert!(
        ended.stderr.contains("mixed.list line 3") && ended.stderr.contains("line 4"),
        "{}",
        ended.stderr
    );
    assert_eq!(hosts(&installation), 1);
}

#[test]
fn a_json_scan_with_a_trailing_comma_is_repaired() {
    let installation = Installation::new();
    installation.write("old.json", "[\n{ ip: \"8.8.8.8\", ports: [ {port: 514, proto: \"tcp\", status: \"open\", reason: \"syn-ack\", ttl: 64} ] },\n{finished: 1}\n]\n");
    let ended = installation.run(&["import", "old.json", "--json"]);
    assert_eq!((ended.code, &ended.json()["lines"]["repaired"]), (Some(0), &1.into()), "{ended:?}");
}

#[test]
fn damaged_gzip_keeps_what_was_sound() {
    let installation = Installation::new();
    installation.write("scan.json.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3, 4, 5]);
    assert_refused(&installation.run(&["import", "scan.json.gz"]), 1, "scan.json.gz");
}

#[test]
fn an_unknown_format() {
    let installation = Installation::new();
    installation.write("scan.json", SCAN);
    assert_refused(
        &installation.run(&["import", "scan.json", "--format", "masscan-yaml"]),
        2,
        "masscan-yaml",
    );
}

#[test]
fn a_database_file_that_is_no_database() {
    let installation = Installation::new();
    installation.write("hostatlas.db", "This is my diary, and no database at all.\n");
    installation.write("scan.json", SCAN);
    assert_refused(&installation.run(&["import", "scan.json"]), 1, "is not a hostatlas database");
    assert_eq!(
        fs::read_to_string(installation.path("hostatlas.db")).expect("text"),
        "This is my diary, and no database at all.\n"
    );
}

#[test]
fn a_database_newer_than_the_program() {
    let installation = Installation::imported();
    let path = installation.path("hostatlas.db");
    let mut bytes = fs::read(&path).expect("a file");
    // SQLite's user version, in which the schema's number is kept.
    bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    fs::write(&path, bytes).expect("a file");
    for arguments in
        [&["import", "scan.json"][..], &["stats", "coverage"], &["serve", "--listen", "127.0.0.1:0"]]
    {
        assert_refused(&installation.run(arguments), 1, "newer");
    }
}

#[test]
fn a_missing_database_where_none_is_made() {
    let installation = Installation::new();
    assert_refused(&installation.run(&["stats", "coverage"]), 1, "hostatlas.db");
    assert!(!installation.path("hostatlas.db").exists());
}

#[test]
fn a_database_where_nothing_can_be_written() {
    let installation = Installation::new();
    installation.write("scan.json", SCAN);
    let ended = installation.run(&["import", "scan.json", "--database-url", "sqlite:///proc/hostatlas.db"]);
    assert_refused(&ended, 1, "/proc/hostatlas.db");
}

#[test]
fn a_full_disk_keeps_what_was_committed() {
    let installation = Installation::imported();
    let sample = crate::support::repository().join("samples/scans/public-5k.json");
    // Files may not grow beyond 256 KiB: to the program that is a disk without room.
    let script = format!(
        "trap '' XFSZ; ulimit -f 512; exec '{}' import '{}'",
        env!("CARGO_BIN_EXE_hostatlas"),
        sample.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .env("HOME", installation.path(""))
        .current_dir(installation.path(""))
        .output()
        .expect("sh runs");
    let ended = installation.ended(output);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("error: ")
            && ended.stderr.contains("hint: ")
            && !ended.stderr.contains("panicked"),
        "{ended:?}"
    );
    assert!(hosts(&installation) >= 6);
    assert_eq!(installation.run(&["db", "check"]).code, Some(0));
    let whole = installation.run(&["import", sample.to_str().expect("UTF-8")]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
}

#[test]
fn a_location_database_that_is_cut_short() {
    let installation = Installation::new();
    let path = installation.path("mmdb/city.mmdb");
    let bytes = fs::read(&path).expect("a file");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("a file");
    let ended = installation.run(&["lookup", "8.8.8.8"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("city.mmdb") && ended.stderr.contains("hint: "), "{ended:?}");
}

#[test]
fn a_location_database_that_is_none() {
    let installation = Installation::without_databases();
    fs::create_dir(installation.path("mmdb")).expect("a folder");
    installation.write("mmdb/city.mmdb", "no database");
    let ended = installation.run(&["lookup", "8.8.8.8"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("city.mmdb") && ended.stderr.contains("hint: "), "{ended:?}");
}

#[test]
fn an_address_that_is_open_to_other_machines() {
    let installation = Installation::new();
    let ended = installation.run(&["serve", "--listen", "0.0.0.0:3000"]);
    assert_refused(&ended, 1, "reachable from other machines");
    assert!(ended.stderr.contains("ssh -L") && ended.stderr.contains("proxy"));
}

#[test]
fn an_unknown_flag_and_command() {
    let installation = Installation::new();
    assert_refused(&installation.run(&["import", "--colour"]), 2, "--colour");
    assert_refused(&installation.run(&["improt", "scan.json"]), 2, "improt");
}

#[test]
fn an_unknown_configuration_key() {
    let installation = Installation::new();
    installation.write("hostatlas.toml", "databse_url = \"sqlite://x.db\"\n");
    let ended = installation.run(&["stats", "coverage"]);
    assert_refused(&ended, 1, "unknown key `databse_url`");
    assert!(ended.stderr.contains("did you mean `database_url`?"));
}

#[test]
fn a_configuration_that_is_no_toml() {
    let installation = Installation::new();
    installation.write("hostatlas.toml", "listen = 127.0.0.1:3000\n");
    assert_refused(&installation.run(&["stats", "coverage"]), 1, "line 1");
}

#[test]
fn an_unknown_variable() {
    let installation = Installation::new();
    let output =
        installation.command(&["config", "show"]).env("HOSTATLAS_DATABASE", "x").output().expect("it runs");
    let ended = installation.ended(output);
    assert_refused(&ended, 1, "unknown environment variable `HOSTATLAS_DATABASE`");
    assert!(ended.stderr.contains("did you mean `HOSTATLAS_DATABASE_URL`?"));
}

#[test]
fn a_postgresql_address() {
    let installation = Installation::new();
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    for url in [
        format!("postgres://me:secret@{nobody}/atlas"),
        format!("postgres://me@{nobody}/atlas?password=secret"),
        format!("postgres://me:secret@{nobody}/atlas?poler=secret"),
    ] {
        for command in [&["stats", "coverage"][..], &["db", "status"], &["db", "migrate"]] {
            let ended = installation.run(&[command, &["--database-url", &url]].concat());
            assert_refused(&ended, 1, "cannot open the database `postgres://");
            assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
        }
        // The doctor says what it can without the database.
        let doctor = installation.run(&["doctor", "--database-url", &url]);
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        let findings = doctor.json()["findings"].to_string();
        assert!(findings.contains("cannot open the database `postgres://"), "{findings}");
        assert!(findings.contains("mmdb/city.mmdb"), "{findings}");
        assert!(!format!("{doctor:?}").contains("secret"), "{doctor:?}");
        let shown = installation.run(&["config", "show", "--database-url", &url]);
        assert!(shown.stdout.contains("postgres://") && !shown.stdout.contains("secret"), "{}", shown.stdout);
    }
}

#[test]
fn an_address_that_is_none() {
    let installation = Installation::new();
    assert_refused(&installation.run(&["lookup", "8.8.8.8.8"]), 2, "8.8.8.8.8");
    assert_refused(&installation.run(&["geolocate", "--ip", "x"]), 2, "x");
}
