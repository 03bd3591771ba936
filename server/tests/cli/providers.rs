use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::Fault;
use serde_json::json;

use crate::support::{Installation, Online, SECRET};

fn imported() -> Installation {
    Installation::imported()
}

fn listed(ended: &crate::support::Ended, name: &str) -> serde_json::Value {
    let found = ended.json_lines().into_iter().find(|status| status["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {ended:?}"))
}

#[test]
fn only_what_no_database_knows_is_sent_to_a_third_party() {
    let (installation, online) = (imported(), Online::start());
    let variables = online.variables("mmdb,ip-api");

    let ended = installation.run_with(&variables, &["geolocate", "--async-batch", "--json"]);

    let summary = ended.json();
    assert_eq!((ended.code, &summary["located"], &summary["deferred"]), (Some(0), &json!(5), &json!(0)));
    let sent = online.stand_in.statistics(ProviderName::IpApi);
    assert_eq!((sent.distinct_addresses, sent.special_addresses, sent.violations), (1, 0, 0));
    let status = listed(&installation.run_with(&variables, &["providers"]), "ip-api");
    assert_eq!(
        (&status["addresses_sent"], &status["located"], &status["clear_text"], &status["position"]),
        (&json!(1), &json!(1), &json!(true), &json!(2))
    );
    assert!(status["third_party"].as_str().is_some_and(|host| host.contains("127.0.0.1")), "{status}");
}

#[test]
fn what_was_answered_is_not_asked_again_unless_forced() {
    let (installation, online) = (imported(), Online::start());
    let variables = online.variables("ip-api");
    let calls = || online.stand_in.statistics(ProviderName::IpApi).addresses_answered;
    let geolocate = |force: &[&str]| {
        let ended = installation.run_with(&variables, &[&["geolocate", "--ip", "8.8.8.8"], force].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        calls()
    };
    assert_eq!([geolocate(&[]), geolocate(&[]), geolocate(&["--force"])], [1, 1, 2]);
}

#[test]
fn when_all_that_is_left_waits_for_quota_the_exit_code_is_4() {
    let (installation, online) = (imported(), Online::start());
    let mut variables = online.variables("ipgeolocation");
    variables.push(("HOSTATLAS_PROVIDER_IPGEOLOCATION_LIMITS".to_owned(), "2 addresses/day".to_owned()));

    let drained = installation.run_with(&variables, &["worker", "--drain", "--json"]);
    let batch = installation.run_with(&variables, &["geolocate", "--async-batch", "--json"]);
    let single = installation.run_with(&variables, &["lookup", "9.9.9.9"]);

    assert_eq!(drained.code, Some(4), "{drained:?}");
    assert_eq!(drained.json()["waiting_for_quota"], 3);
    assert_eq!((batch.code, &batch.json()["deferred"]), (Some(4), &json!(3)), "{batch:?}");
    assert_eq!(single.code, Some(4), "{single:?}");
    let jobs = installation.run_with(&variables, &["jobs", "list", "--state", "scheduled", "--ndjson"]);
    for job in jobs.json_lines() {
        let because = job["waiting_because"].as_str().unwrap_or_default();
        assert!(because.contains("ipgeolocation"), "{job}");
        assert_eq!(job["attempt"], 0);
    }
    assert_eq!(online.stand_in.statistics(ProviderName::Ipgeolocation).addresses_answered, 2);
}

#[test]
fn a_failed_lookup_says_what_each_provider_said() {
    let (installation, online) = (Installation::without_databases(), Online::start());
    online.stand_in.set_down(ProviderName::IpApi, true);
    online.stand_in.set_down(ProviderName::Freeipapi, true);
    let ended = installation.run_with(&online.variables("ip-api,freeipapi"), &["lookup", "8.8.8.8"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for line in ["error: no provider could locate `8.8.8.8`", "\n  ip-api: ", "\n  freeipapi: ", "\nhint: "] {
        assert!(ended.stderr.contains(line), "{line} in {}", ended.stderr);
    }
    assert!(!installation.path("hostatlas.db").exists());
}

#[test]
fn a_provider_without_its_key_is_named_with_the_remedy() {
    let installation = imported();
    let variables = [("HOSTATLAS_PROVIDERS".to_owned(), "mmdb,ipinfo-lite".to_owned())];
    for arguments in [&["lookup", "8.8.8.8"][..], &["worker", "--drain"]] {
        let ended = installation.run_with(&variables, arguments);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("IPINFO_TOKEN") && ended.stderr.contains("hint: "), "{ended:?}");
    }
    let doctor = installation.run_with(&variables, &["doctor", "--json"]).json();
    let findings = doctor["findings"].as_array().expect("findings");
    assert!(
        findings.iter().any(|finding| finding["subject"] == "providers" && finding["severity"] == "error")
    );
}

#[test]
fn the_doctor_names_third_parties_and_clear_text() {
    let (installation, online) = (imported(), Online::start());
    let doctor = installation.run_with(&online.variables("mmdb,ip-api"), &["doctor", "--json"]).json();
    let findings = doctor["findings"].as_array().expect("findings");
    let about = findings.iter().find(|finding| finding["subject"] == "providers").expect("a finding");
    assert!(about["detail"].as_str().is_some_and(|detail| detail.contains("clear text")), "{about}");
}

#[test]
fn a_key_is_printed_nowhere() {
    let (installation, online) = (imported(), Online::start());
    let mut variables = online.variables("mmdb,ipinfo,ipgeolocation");
    variables.push(("HOSTATLAS_LOG".to_owned(), "trace".to_owned()));
    online.stand_in.set_fault_for(ProviderName::Ipgeolocation, Fault::ALL[0], 3);
    for arguments in [
        &["config", "show", "--table"][..],
        &["geolocate", "--async-batch", "--force"],
        &["providers", "test", "8.8.8.8"],
        &["providers", "--json"],
        &["doctor"],
    ] {
        let ended = installation.run_with(&variables, arguments);
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
    }
}

#[test]
fn a_provider_is_tested_and_one_that_is_not_configured_is_refused() {
    let (installation, online) = (imported(), Online::start());
    let variables = online.variables("mmdb,ip-api");
    let ended = installation.run_with(&variables, &["providers", "test", "8.8.8.8"]);
    let said: Vec<_> = ended
        .json_lines()
        .iter()
        .map(|answer| (answer["provider"].clone(), answer["status"].clone()))
        .collect();
    assert_eq!(said, [("mmdb".into(), "located".into()), ("ip-api".into(), "located".into())], "{ended:?}");
    let unknown =
        installation.run_with(&variables, &["providers", "test", "8.8.8.8", "--provider", "ipwhois"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("HOSTATLAS_PROVIDERS"), "{unknown:?}");
}

#[test]
fn a_pin_survives_a_forced_lookup_and_ends_with_unpin() {
    let installation = Installation::located();
    let pin =
        ["hosts", "pin", "8.8.8.8", "--latitude", "-33.87", "--longitude", "151.21", "--city", "Sydney"];
    let pinned = installation.run(&[&pin[..], &["--country", "au"]].concat());
    assert_eq!((pinned.code, &pinned.json()["pinned"]), (Some(0), &json!(true)), "{pinned:?}");
    assert_eq!(installation.run(&["geolocate", "--async-batch", "--force"]).code, Some(0));

    let kept = installation.run(&["hosts", "show", "8.8.8.8"]).json();
    assert_eq!(
        (&kept["location"]["city"], &kept["location"]["provider"]),
        (&json!("Sydney"), &json!("manual"))
    );
    assert_eq!(kept["answers"][1]["answer"]["city"], "Mountain View");

    assert_eq!(installation.run(&["hosts", "unpin", "8.8.8.8"]).json()["pinned"], false);
    assert_eq!(installation.run(&["worker", "--drain"]).code, Some(0));
    let free = installation.run(&["hosts", "show", "8.8.8.8"]).json();
    assert_eq!(free["location"]["city"], "Mountain View");
    assert_eq!(
        installation.run(&["hosts", "pin", "8.8.8.8", "--latitude", "91", "--longitude", "0"]).code,
        Some(2)
    );
}

#[test]
fn a_site_places_private_hosts_for_as_long_as_it_is_configured() {
    let installation = Installation::new();
    let site = "[[site]]\nname = \"Office\"\nnetwork = \"10.0.0.0/16\"\nlatitude = 48.137\nlongitude = 11.575\n\
                city = \"Munich\"\ncountry_code = \"DE\"\n";
    installation.write("hostatlas.toml", site);
    let scan = installation.write("scan.json", crate::support::SCAN);
    assert_eq!(installation.run(&["import", &scan]).code, Some(0));
    let host = installation.run(&["hosts", "show", "10.0.0.1"]).json();
    assert_eq!(
        (&host["location"]["city"], &host["location"]["provider"], &host["location_state"]),
        (&json!("Munich"), &json!("site"), &json!("located"))
    );

    installation.write("hostatlas.toml", "");
    assert_eq!(installation.run(&["worker", "--drain"]).code, Some(0));
    let host = installation.run(&["hosts", "show", "10.0.0.1"]).json();
    assert_eq!((&host["location"], &host["location_state"]), (&json!(null), &json!("not_applicable")));
}

#[test]
fn a_provider_of_ones_own_is_described_in_the_file() {
    let (installation, online) = (Installation::without_databases(), Online::start());
    let url = online.stand_in.base_url(ProviderName::Ipwhois);
    installation.write(
        "hostatlas.toml",
        format!(
            "providers = \"custom-1\"\n[provider.custom-1]\nurl = \"{url}{{ip}}\"\nallow_private = true\n\
             [provider.custom-1.fields]\naddress = \"/ip\"\nlatitude = \"/latitude\"\nlongitude = \"/longitude\"\n\
             city = \"/city\"\ncountry_code = \"/country_code\"\n"
        ),
    );
    let ended = installation.run(&["lookup", "8.8.8.8"]);
    let answer = &ended.json_lines()[0];
    assert_eq!(
        (&answer["status"], &answer["provider"]),
        (&json!("located"), &json!("custom-1")),
        "{ended:?}"
    );
}
