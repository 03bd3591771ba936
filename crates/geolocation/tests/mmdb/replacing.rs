//! What happens to the files while they are in use.

use std::fs::{self, File};

use hostatlas_domain::UnlocatedReason;
use hostatlas_geolocation::{Lookup, MmdbConfig, ReloadOutcome};
use mmdb_writer::Value;

use crate::support::{
    BUILD, Build, Site, V4, V6, address, built, city, count_copies, database, flat, frankfurt, locate, open,
    reason,
};

fn old() -> Vec<u8> {
    database(&V4, &[("8.0.0.0/8", frankfurt())])
}

fn new() -> Vec<u8> {
    database(
        &Build { epoch: BUILD + 86_400, ..V4 },
        &[("8.0.0.0/8", flat("Berlin", "Berlin", "DE", 52.52, 13.405))],
    )
}

fn refusal(outcomes: &[ReloadOutcome]) -> String {
    match outcomes {
        [ReloadOutcome::Refused(problem)] => problem.what.clone(),
        other => panic!("one refusal expected: {other:?}"),
    }
}

#[test]
fn a_file_replaced_by_rename_is_taken_up() {
    let site = Site::new();
    let path = site.put("city.mmdb", &old());
    let (locator, _) = site.open();
    assert_eq!(locator.reload_if_changed(), [], "nothing changed yet");
    site.put("city.mmdb", &new());
    assert_eq!(
        locator.reload_if_changed(),
        [ReloadOutcome::Loaded { path, database_build: Some(built(BUILD + 86_400)) }]
    );
    assert_eq!(
        (city(&locator, "8.8.8.8").as_deref(), locator.database_build()),
        (Some("Berlin"), Some(built(BUILD + 86_400)))
    );
    assert_eq!(
        (locator.reload_if_changed(), count_copies(&site.copies())),
        (vec![], 1),
        "the old copy is removed"
    );
}

#[test]
fn a_file_that_appears_later_is_taken_up() {
    let site = Site::new();
    let (locator, problems) = site.open();
    assert_eq!(problems.len(), 1);
    site.put("city.mmdb", &old());
    assert_eq!(locator.reload_if_changed().len(), 1);
    assert_eq!(city(&locator, "8.8.8.8").as_deref(), Some("Frankfurt am Main"));
}

#[test]
fn a_file_cut_short_in_place_while_in_use_changes_nothing() {
    let site = Site::new();
    let path = site.put("city.mmdb", &old());
    let (locator, _) = site.open();
    let whole = fs::metadata(&path).expect("a file").len();
    File::options().write(true).open(&path).expect("a file").set_len(100).expect("a shorter file");
    assert_eq!(city(&locator, "8.8.8.8").as_deref(), Some("Frankfurt am Main"));
    let what = refusal(&locator.reload_if_changed());
    assert_eq!(
        what,
        format!(
            "is cut short: it has 100 of {whole} bytes; the version before it, built 2026-05-28, stays in use"
        )
    );
    assert_eq!(city(&locator, "8.8.8.8").as_deref(), Some("Frankfurt am Main"));
    assert_eq!(locator.reload_if_changed(), [], "told once");
    let status = locator.databases().remove(0);
    assert!(status.in_use && status.problem.is_some_and(|problem| problem.what == what));
}

#[test]
fn a_file_emptied_in_place_while_in_use_changes_nothing() {
    let site = Site::new();
    let path = site.put("city.mmdb", &old());
    let (locator, _) = site.open();
    File::create(&path).expect("an empty file");
    assert!(refusal(&locator.reload_if_changed()).starts_with("is cut short: it has 0 of"));
    assert_eq!(city(&locator, "8.8.8.8").as_deref(), Some("Frankfurt am Main"));
}

#[test]
fn a_bad_new_file_keeps_the_old_one_in_use_until_a_good_one_comes() {
    let site = Site::new();
    site.put("city.mmdb", &old());
    let (locator, _) = site.open();
    site.put("city.mmdb", b"<html>404 Not Found</html>");
    assert!(refusal(&locator.reload_if_changed()).starts_with("is no MMDB file, or is cut short"));
    assert_eq!(city(&locator, "8.8.8.8").as_deref(), Some("Frankfurt am Main"));
    site.put("city.mmdb", &new());
    locator.reload_if_changed();
    assert_eq!(
        (city(&locator, "8.8.8.8").as_deref(), locator.databases()[0].problem.clone()),
        (Some("Berlin"), None)
    );
}

#[test]
fn a_program_that_starts_beside_a_bad_file_uses_the_last_good_version() {
    let site = Site::new();
    let path = site.put("city.mmdb", &old());
    drop(site.open());
    File::options().write(true).open(&path).expect("a file").set_len(100).expect("a shorter file");
    let (locator, problems) = site.open();
    assert_eq!((problems.len(), city(&locator, "8.8.8.8").as_deref()), (1, Some("Frankfurt am Main")));
}

#[test]
fn a_removed_file_stays_in_use_until_a_restart() {
    let site = Site::new();
    let path = site.put("city.mmdb", &old());
    let (locator, _) = site.open();
    fs::remove_file(path).expect("a file");
    assert!(refusal(&locator.reload_if_changed()).starts_with("does not exist"));
    assert!(city(&locator, "8.8.8.8").is_some());
    assert_eq!(reason(&site.open().0, "8.8.8.8"), Some(UnlocatedReason::NoDatabase));
}

#[test]
fn lookups_under_way_end_with_the_files_they_began_with() {
    let site = Site::new();
    site.put("city.mmdb", &old());
    let (locator, _) = site.open();
    let before = locate(&locator, "8.8.8.8");
    site.put("city.mmdb", &new());
    locator.reload_if_changed();
    let place = before.located().expect("located").place.city.clone();
    assert_eq!(place.as_deref(), Some("Frankfurt am Main"));
}

#[test]
fn a_second_start_reads_no_file_again() {
    let site = Site::new();
    let path = site.put("city.mmdb", &old());
    drop(site.open());
    let copy = || {
        let mut copies =
            fs::read_dir(site.copies()).expect("a directory").map(|entry| entry.expect("an entry"));
        let copy = copies.find(|entry| entry.path().extension().is_some_and(|extension| extension == "mmdb"));
        copy.expect("a copy").metadata().expect("a file").modified().expect("a time")
    };
    let made = copy();
    // Reading it would fail: nobody may. (Root may; then the copy's time tells.)
    let (locator, problems) = site.open();
    assert_eq!((problems, copy(), city(&locator, "8.8.8.8").is_some()), (vec![], made, true));
    assert!(path.exists());
}

#[test]
fn a_lost_or_damaged_copy_is_made_again() {
    let site = Site::new();
    site.put("city.mmdb", &old());
    drop(site.open());
    for entry in fs::read_dir(site.copies()).expect("a directory") {
        let path = entry.expect("an entry").path();
        fs::write(&path, b"damaged").expect("a file");
    }
    let (locator, problems) = site.open();
    assert_eq!((problems, city(&locator, "8.8.8.8").is_some()), (vec![], true));
    fs::remove_dir_all(site.copies()).expect("a directory");
    assert!(city(&locator, "8.8.8.8").is_some(), "what is mapped stays");
    assert!(city(&site.open().0, "8.8.8.8").is_some());
}

#[test]
fn copies_that_cannot_be_made_are_a_problem_with_a_remedy() {
    let site = Site::new();
    site.put("city.mmdb", &old());
    fs::write(site.copies(), b"a file where the directory should be").expect("a file");
    let (locator, problems) = site.open();
    assert_eq!(reason(&locator, "8.8.8.8"), Some(UnlocatedReason::NoDatabase));
    assert_eq!(problems[0].remedy, "make that directory writable and see that its disk has room");
}

#[test]
fn missing_and_strange_paths_are_problems_and_the_rest_works() {
    let site = Site::new();
    let good = site.put("good.mmdb", &old());
    let directory = site.path("");
    let config = MmdbConfig { city: vec![site.path("missing.mmdb"), directory, good], ..site.config() };
    let (locator, problems) = open(&config);
    let what: Vec<_> = problems.iter().map(|problem| problem.what.as_str()).collect();
    assert_eq!(what, ["does not exist", "is no file"]);
    assert!(city(&locator, "8.8.8.8").is_some());
}

#[test]
fn an_unknown_schema_is_refused_with_the_keys_it_has() {
    let site = Site::new();
    site.put(
        "odd.mmdb",
        &database(&V6, &[("8.0.0.0/8", Value::map([("is_proxy", true), ("is_vpn", false)]))]),
    );
    let (_, problems) = site.open();
    assert!(problems[0].what.contains("unknown schema: its records hold `is_proxy, is_vpn`"), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_may_be_replaced_while_lookups_run() {
    let site = Site::new();
    site.put("city.mmdb", &old());
    let (locator, _) = site.open();
    let addresses: Vec<_> =
        (0..2_000_u32).map(|number| address(&format!("8.{}.{}.1", number / 256, number % 256))).collect();
    let lookups = tokio::spawn({
        let (locator, addresses) = (locator.clone(), addresses.clone());
        async move {
            let mut all = Vec::new();
            for _ in 0..20 {
                all.extend(locator.locate_batch(&addresses, 1_000).await);
            }
            all
        }
    });
    for round in 0..20 {
        site.put("city.mmdb", &if round % 2 == 0 { new() } else { old() });
        assert_eq!(locator.reload_if_changed().len(), 1);
    }
    let all = lookups.await.expect("no panic");
    assert!(all.iter().all(|lookup| matches!(lookup, Lookup::Located(_))));
}
