use crate::{shown, support::Installation};

#[test]
fn addresses_are_answered_without_any_database_of_hosts() {
    let installation = Installation::new();
    let ended =
        installation.run(&["lookup", "8.8.8.8", "45.45.45.45", "10.0.0.1", "2a00:1450::1", "--ndjson"]);
    insta::assert_snapshot!("lookup_ndjson", shown(&ended));
    assert!(!installation.path("hostatlas.db").exists());
}

#[test]
fn a_table_is_for_people() {
    let installation = Installation::new();
    insta::assert_snapshot!(
        "lookup_table",
        shown(&installation.run(&["lookup", "8.8.8.8", "10.0.0.1", "--table"]))
    );
}

#[test]
fn addresses_come_from_standard_input_with_comments_and_blank_lines() {
    let installation = Installation::new();
    let input = b"# ours\n8.8.8.8\n\n 193.61.0.1  # London\n";
    let ended =
        installation.run_with_input(&["lookup", "-", "--csv", "--fields", "ip,city,country_code"], input);
    insta::assert_snapshot!("lookup_csv", shown(&ended));
}

#[test]
fn a_line_that_is_no_address_is_named() {
    let installation = Installation::new();
    insta::assert_snapshot!(
        "lookup_bad_line",
        shown(&installation.run_with_input(&["lookup", "-"], b"8.8.8.8\nx\n"))
    );
}

#[test]
fn a_named_database_that_is_missing_is_named_in_the_hint() {
    let installation = Installation::without_databases();
    let variables = [("HOSTATLAS_MMDB_CITY".to_owned(), "/data/City.mmdb".to_owned())];
    let ended = installation.run_with(&variables, &["lookup", "8.8.8.8"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let hints: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("hint: ")).collect();
    let last = hints.last().expect("a hint");
    assert!(last.contains("`/data/City.mmdb`, which `HOSTATLAS_MMDB_CITY`"), "{ended:?}");
    assert!(!ended.stderr.contains("`mmdb` holds") && !last.contains("into `mmdb`"), "{ended:?}");
}

#[test]
fn without_databases_every_lookup_fails_and_says_what_to_do() {
    let installation = Installation::without_databases();
    insta::assert_snapshot!(
        "lookup_no_database",
        shown(&installation.run(&["lookup", "8.8.8.8", "--fields", "ip,status,reason"]))
    );
}
