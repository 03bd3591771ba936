use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::{Fault, World};
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

/// Of 200 hosts the first provider knows two of three, and the second, which may know the others, is out.
#[test]
fn a_provider_that_is_out_holds_up_nobody() {
    let world = World { seed: 7, unknown_one_in: 0, gap_one_in: 3 };
    let (installation, online) = (Installation::without_databases(), Online::in_world(world));
    online.stand_in.set_down(ProviderName::IpApi, true);
    let hosts: Vec<std::net::IpAddr> =
        (0..200u8).map(|last| std::net::Ipv4Addr::new(45, 33, 7, last).into()).collect();
    let known = hosts.iter().filter(|host| world.known_to(ProviderName::Ipinfo, **host).is_some()).count();
    let list: String = hosts.iter().map(|host| format!("{host}\n")).collect::<Vec<_>>().concat();
    let list = installation.write("hosts.txt", list);
    assert_eq!(installation.run(&["import", &list]).code, Some(0));

    let began = std::time::Instant::now();
    let variables = online.variables("ipinfo,ip-api");
    let ended = installation.run_with(&variables, &["geolocate", "--async-batch", "--json"]);

    let summary = ended.json();
    let count = |field: &str| summary[field].as_u64().expect("a count");
    assert_eq!(count("located"), known as u64, "{summary}");
    assert_eq!(count("located") + count("failed") + count("deferred"), 200, "{summary}");
    assert!(count("deferred") > 0, "they stay due: {summary}");
    assert_eq!(ended.code, Some(if count("failed") > 0 { 3 } else { 4 }), "{ended:?}");
    assert!(ended.stderr.contains("hosts stay due"), "{ended:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(25), "it took {:?}", began.elapsed());
}

/// A wait is said at once, and what was answered before it is kept when somebody gives up.
#[test]
fn a_lookup_that_waits_says_for_whom_and_keeps_its_answers_when_interrupted() {
    use std::io::{BufRead, BufReader, Read};
    let (installation, online) = (Installation::without_databases(), Online::start());
    let mut variables = online.variables("ipgeolocation");
    variables.push(("HOSTATLAS_PROVIDER_IPGEOLOCATION_LIMITS".to_owned(), "2 addresses/60s".to_owned()));
    let mut command =
        installation.command(&["lookup", "45.33.7.1", "45.33.7.2", "45.33.7.3", "45.33.7.4", "--ndjson"]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let mut child = command.spawn().expect("the binary runs");

    let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("waiting ") {
        line.clear();
        assert!(said.read_line(&mut line).expect("text") > 0, "it ended without a word about the wait");
    }
    assert!(line.contains(" s for 2 addresses: ipgeolocation allows no more for now"), "{line}");
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());

    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    let output = child.wait_with_output().expect("it ends");
    let answers: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut statuses: Vec<&str> = answers.iter().filter_map(|answer| answer["status"].as_str()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["deferred", "deferred", "located", "located"]);
    assert_eq!(output.status.code(), Some(130), "{rest}");
    assert!(rest.contains("stopped: 2 of 4 addresses have no answer"), "{rest}");
}

/// Nothing left this machine, so nothing was used up and nobody saw an address.
#[test]
fn a_provider_that_cannot_be_reached_costs_no_permit() {
    let installation = imported();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    let variables: Vec<(String, String)> = [
        ("HOSTATLAS_PROVIDERS", "ip-api"),
        ("HOSTATLAS_PROVIDER_IP_API_URL", &url),
        ("HOSTATLAS_PROVIDER_IP_API_ALLOW_PRIVATE", "1"),
        ("HOSTATLAS_PROVIDER_IP_API_LIMITS", "5 lookups/min"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for _ in 0..3 {
        let tested = installation.run_with(&variables, &["providers", "test", "8.8.8.8"]);
        assert_eq!(tested.code, Some(3), "{tested:?}");
    }
    let status = listed(&installation.run_with(&variables, &["providers"]), "ip-api");
    let limits = status["limits"].as_array().expect("limits");
    let left = limits.iter().find(|limit| limit["name"] == "lookups a minute").map(|limit| &limit["left"]);
    assert_eq!((left, &status["addresses_sent"]), (Some(&json!(5)), &json!(0)), "{status}");
}

#[test]
fn a_key_that_nobody_uses_is_said_at_the_start_and_by_the_doctor() {
    let installation = imported();
    let variables = [("IPINFO_TOKEN".to_owned(), SECRET.to_owned())];
    let words = "`IPINFO_TOKEN` has no effect: `ipinfo` or `ipinfo-lite` is not in `HOSTATLAS_PROVIDERS`";
    let ended = installation.run_with(&variables, &["worker", "--drain"]);
    assert!(ended.stderr.contains(words), "{ended:?}");
    let doctor = installation.run_with(&variables, &["doctor", "--json"]);
    let findings = doctor.json();
    let findings = findings["findings"].as_array().expect("findings");
    let told = findings.iter().find(|finding| finding["detail"] == words).expect("the doctor says so");
    assert_eq!(told["severity"], "warning");
    assert!(!doctor.stdout.contains(SECRET) && !ended.stderr.contains(SECRET));
    let used = online_variables_without_complaint(&installation);
    assert!(!used.contains("has no effect"), "{used}");
}

fn online_variables_without_complaint(installation: &Installation) -> String {
    let online = Online::start();
    installation.run_with(&online.variables("mmdb,ipinfo,ipgeolocation"), &["providers"]).stderr
}

#[test]
fn limits_of_a_provider_of_ones_own_are_written_as_everywhere() {
    let installation = imported();
    let described = |limits: &str| {
        format!(
            "providers = [\"custom-1\"]\n[provider.custom-1]\nurl = \"http://127.0.0.1:9/{{ip}}\"\n\
             allow_private = true\nlimits = {limits}\n[provider.custom-1.fields]\ncountry_code = \"/c\"\n"
        )
    };
    for (limits, expected) in [("[\"600/min\"]", json!([600])), ("[\"unlimited\"]", json!([]))] {
        let file = installation.write("hostatlas.toml", described(limits));
        let status = listed(&installation.run(&["--config", &file, "providers"]), "custom-1");
        let permits: Vec<_> =
            status["limits"].as_array().expect("limits").iter().map(|one| &one["permits"]).collect();
        assert_eq!(json!(permits), expected, "{status}");
    }
    let file = installation.write("hostatlas.toml", described("[\"600\"]"));
    let refused = installation.run(&["--config", &file, "providers"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("`600` is not a limit: write limits as 45/min"), "{refused:?}");
}

/// Fields, and not the debug form of a value of ours.
#[test]
fn a_log_line_holds_fields_and_no_debug_form() {
    let installation = imported();
    let variables = [("HOSTATLAS_LOG".to_owned(), "debug,sqlx=off".to_owned())];
    let ended = installation.run_with(&variables, &["worker", "--drain"]);
    let line = ended.stderr.lines().find(|line| line.contains("The worker ended")).expect("a line");
    assert!(line.contains(r#""completed":5"#), "{line}");
    let of_ours = ended.stderr.lines().filter(|line| line.contains("hostatlas"));
    let debug_forms: Vec<&str> =
        of_ours.filter(|line| line.contains(" {") || line.contains("Some(")).collect();
    assert!(debug_forms.is_empty(), "{debug_forms:?}");
}
