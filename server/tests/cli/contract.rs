//! One contract of output for every command: data on standard output, in the form that was asked for, everything else on
//! standard error.
//!
//! The commands are read out of `--help`, so one that is new fails here until it is in the table.

use std::collections::BTreeSet;

use crate::support::{Installation, SCAN};

/// What a command is run with here, and what it prints.
struct Case {
    /// The command, and the arguments of its run.
    line: &'static str,
    prints: Prints,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prints {
    /// One object.
    Object,
    /// Any number of objects.
    List,
}

const fn object(line: &'static str) -> Case {
    Case { line, prints: Prints::Object }
}

const fn list(line: &'static str) -> Case {
    Case { line, prints: Prints::List }
}

/// Every command in an order in which each has something to do. `|` ends the command and begins its arguments; `#` is the
/// number of the run, for files that may not exist yet.
const CASES: [Case; 50] = [
    object("import | scan.json"),
    object("import | other.list"),
    object("import undo | 2"),
    list("import list"),
    list("hosts search"),
    list("hosts search | city:Atlantis"),
    list("hosts export"),
    object("hosts show | 193.61.165.139"),
    object("hosts pin | 8.8.8.8 --latitude 1 --longitude 2"),
    object("hosts unpin | 8.8.8.8"),
    list("jobs list"),
    object("jobs show | 1"),
    object("jobs enqueue | 8.8.8.8"),
    object("jobs enqueue | 8.8.8.8 9.9.9.9"),
    object("jobs cancel | --state available"),
    object("jobs retry | 999999"),
    object("jobs retry | --all"),
    object("jobs pause | geolocation"),
    object("jobs resume | geolocation"),
    object("jobs cap | geolocation 2"),
    object("jobs cap | geolocation none"),
    object("jobs prune"),
    object("jobs stats"),
    list("workers"),
    list("schedules"),
    list("schedules list"),
    object("schedules set | refresh every 6h"),
    object("schedules pause | refresh"),
    object("schedules resume | refresh"),
    object("schedules run | prune"),
    object("worker | --drain"),
    object("geolocate | --ip 8.8.8.8"),
    object("geolocate | --async-batch"),
    object("geolocate | --queue-jobs --force"),
    object("geolocate | --ip 8.8.8.8 --queue-jobs"),
    list("lookup | 8.8.8.8 10.0.0.1"),
    list("providers"),
    list("providers test | 8.8.8.8"),
    object("stats coverage"),
    object("stats jobs"),
    list("stats recent"),
    object("doctor"),
    list("config show"),
    list("mmdb status"),
    object("mmdb compare | mmdb/city.mmdb"),
    object("db status"),
    object("db check"),
    object("db migrate"),
    object("db backup | copy-#.db"),
    object("db copy | --from sqlite://hostatlas.db --to sqlite://other-#.db"),
];

/// Run by itself: it puts a backup in the place of the database.
const RESTORE: &str = "db restore";
/// Run by itself: it runs until it is stopped.
const SERVE: &str = "serve";

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// The commands that `--help` names, each as its words; those that only hold others are left out.
fn commands(installation: &Installation, path: &[&str]) -> Vec<String> {
    let help = installation.run(&[path, &["--help"]].concat()).stdout;
    let usage = help.lines().find(|line| line.starts_with("Usage:")).expect("a usage").to_owned();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| {
        // A name stands two blanks in; what is deeper goes on with a description.
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
        name.split_whitespace().next().filter(|name| *name != "help").map(str::to_owned)
    });
    let names: Vec<String> = names.collect();
    let mut found = Vec::new();
    if !usage.contains("<COMMAND>") {
        found.push(path.join(" "));
    }
    for name in &names {
        found.extend(commands(installation, &[path, &[name.as_str()]].concat()));
    }
    found
}

#[test]
fn every_command_is_in_the_table() {
    let installation = Installation::without_databases();
    let there: BTreeSet<String> = commands(&installation, &[]).into_iter().collect();
    let mut tested: BTreeSet<String> =
        CASES.iter().map(|case| words(case.line.split('|').next().expect("a command")).join(" ")).collect();
    tested.extend([RESTORE, SERVE].map(str::to_owned));
    assert_eq!(tested, there);
}

/// Runs every case in one form.
fn check(form: &[&str], parse: impl Fn(Prints, &str) -> Result<(), String>) {
    let installation = Installation::new();
    installation.write("scan.json", SCAN);
    installation.write("other.list", "open tcp 80 9.9.9.10 1795434087\n");
    for (number, Case { line, prints }) in CASES.iter().enumerate() {
        let line = line.replace('|', " ").replace('#', &number.to_string());
        let ended = installation.run(&[&words(&line), form].concat());
        assert!(ended.code.is_some_and(|code| code <= 4), "{line}: {ended:?}");
        if let Err(why) = parse(*prints, &ended.stdout) {
            panic!("`{line}` {form:?}: {why}\n{ended:?}");
        }
    }
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn json_is_one_document_whatever_the_command() {
    check(&["--json"], |prints, text| {
        let document = json(text)?;
        match prints {
            Prints::Object if document.is_object() => Ok(()),
            Prints::List if document.is_array() => Ok(()),
            _ => Err(format!("{prints:?} was expected")),
        }
    });
}

/// Nobody asks for a form: output is no terminal here.
#[test]
fn a_pipe_gets_one_document_a_line_whatever_the_command() {
    check(&[], |prints, text| {
        let lines = text.lines().map(json).collect::<Result<Vec<_>, _>>()?;
        let objects = lines.iter().all(serde_json::Value::is_object);
        let count = prints == Prints::List || lines.len() == 1;
        if objects && count { Ok(()) } else { Err(format!("{} lines, objects: {objects}", lines.len())) }
    });
}

#[test]
fn ndjson_and_quiet_leave_the_data_alone_and_say_nothing_else() {
    let installation = Installation::imported();
    for line in ["jobs pause geolocation", "schedules pause refresh", "jobs cap geolocation 3", "jobs stats"]
    {
        let ended = installation.run(&[&words(line), &["--ndjson", "--quiet"][..]].concat());
        assert_eq!(
            (ended.code, ended.stderr.as_str(), ended.stdout.lines().count()),
            (Some(0), "", 1),
            "{line}"
        );
        assert!(ended.json().is_object(), "{line}");
    }
}

#[test]
fn a_server_prints_no_data_and_a_restore_one_document() {
    let installation = Installation::imported();
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    command.stdout(std::fs::File::create(installation.path("stdout")).expect("a file"));
    let server = crate::support::Server::start(command);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!(std::fs::read_to_string(installation.path("stdout")).expect("text"), "");
    assert_eq!(installation.run(&["db", "backup", "copy.db"]).code, Some(0));
    let restored = installation.run(&["db", "restore", "copy.db", "--force", "--json"]);
    assert_eq!((restored.code, restored.json().is_object()), (Some(0), true), "{restored:?}");
}

/// What `--fields` and CSV take is what JSON holds, for every list.
#[test]
fn the_fields_of_a_list_are_those_of_its_json() {
    let installation = Installation::located();
    let server = installation.serve();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while installation.run(&["workers", "--json"]).json() == serde_json::json!([]) {
        assert!(std::time::Instant::now() < deadline, "no worker is listed");
    }
    for line in [
        "hosts search",
        "hosts export",
        "jobs list",
        "import list",
        "lookup 8.8.8.8",
        "workers",
        "schedules",
        "providers",
        "stats recent",
        "config show",
        "mmdb status",
    ] {
        let items = installation.run(&[&words(line), &["--json"][..]].concat()).json();
        let item = items[0].as_object().unwrap_or_else(|| panic!("{line} lists nothing"));
        let csv = installation.run(&[&words(line), &["--csv"][..]].concat());
        let header = csv.stdout.lines().next().expect("a header");
        let heads: BTreeSet<&str> =
            header.split(',').map(|field| field.split('.').next().expect("a name")).collect();
        assert_eq!(heads, item.keys().map(String::as_str).collect(), "{line}");
        let chosen = installation.run(&[&words(line), &["--json", "--fields", header][..]].concat());
        assert_eq!(chosen.code, Some(0), "{line}: {chosen:?}");
        let refused = installation.run(&[&words(line), &["--fields", "colour"][..]].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{line}");
        for field in heads {
            assert!(refused.stderr.contains(field), "{line}: {field} is not in {}", refused.stderr);
        }
        let help = words(line)[..if line.starts_with("lookup") { 1 } else { words(line).len() }].to_vec();
        let help = installation.run(&[&help, &["--help"][..]].concat()).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            help.contains(&format!("Fields for --fields: {}", header.replace(',', ", "))),
            "{line}: {help}"
        );
    }
    drop(server);
}
