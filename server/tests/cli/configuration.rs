use crate::{shown, support::Installation};

#[test]
fn every_setting_is_shown_with_its_origin_and_no_secret() {
    let installation = Installation::new();
    installation
        .write("hostatlas.toml", "max_age_days = 7\nallowed_hosts = [\"localhost\", \"atlas.example\"]\n");
    let output = installation
        .command(&["config", "show", "--table", "--database-url", "sqlite://other.db"])
        .env("HOSTATLAS_MAX_WORKERS", "4")
        .env("IPINFO_TOKEN", "tok_secret")
        .output()
        .expect("it runs");
    let ended = installation.ended(output);
    assert!(!ended.stdout.contains("tok_secret"));
    insta::assert_snapshot!("config_show", shown(&ended));
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let installation = Installation::new();
    installation
        .write("hostatlas.toml", "database_url = \"sqlite://file.db\"\nlisten = \"127.0.0.1:1111\"\n");
    let show = |arguments: &[&str]| {
        let mut command = installation.command(&[&["config", "show", "--ndjson"], arguments].concat());
        let output =
            command.env("HOSTATLAS_DATABASE_URL", "sqlite://environment.db").output().expect("it runs");
        let lines = installation.ended(output).json_lines();
        let find =
            |key: &str| lines.iter().find(|line| line["key"] == key).expect("the key")["value"].clone();
        (find("database_url"), find("listen"))
    };
    assert_eq!(show(&[]), ("sqlite://environment.db".into(), "127.0.0.1:1111".into()));
    assert_eq!(show(&["--database-url", "sqlite://flag.db"]).0, "sqlite://flag.db");
}

#[test]
fn the_database_is_made_checked_and_described() {
    let installation = Installation::new();
    assert_eq!(installation.run(&["db", "migrate"]).code, Some(0));
    let status = installation.run(&["db", "status"]).json();
    assert_eq!(status["current"], true);
    let check = installation.run(&["db", "check"]);
    assert_eq!(
        (check.code, check.json()["findings"].as_array().map(Vec::len)),
        (Some(0), Some(0)),
        "{check:?}"
    );
}

#[test]
fn help_and_version_are_answered() {
    let installation = Installation::new();
    for arguments in [&["--help"][..], &["import", "--help"], &["--version"], &["help", "jobs"]] {
        let ended = installation.run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!ended.stdout.is_empty());
    }
}
