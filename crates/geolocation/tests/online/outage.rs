//! A provider that does not answer costs little, and is noticed when it is back.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{BreakerState, ProviderName, UnlocatedReason};
use hostatlas_geolocation::{DeferralCause, LocateOptions, Lookup};
use tokio::time::{Instant, sleep};

use crate::support::{Behaviour, Failing, Server, Simulated, address, addresses, locator};

const FAILURES: [Failing; 4] = [Failing::Unreachable, Failing::Status(503), Failing::Never, Failing::Garbage];

fn broken(how: Failing) -> Arc<Server> {
    Server::new(Behaviour { fails: Some(how), ..Behaviour::default() })
}

fn impatient() -> LocateOptions {
    LocateOptions { patience: Duration::ZERO, ..LocateOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn one_provider_out_costs_at_most_1_1_calls_a_host() {
    for how in FAILURES {
        let (out, well) = (broken(how), Server::new(Behaviour::default()));
        let providers = [
            (Simulated::unlimited(ProviderName::IpApi), Arc::clone(&out)),
            (Simulated::unlimited(ProviderName::Freeipapi), Arc::clone(&well)),
        ];
        let lookups = locator(&providers).locate_with(&addresses(2_000), LocateOptions::default()).await;
        assert!(lookups.iter().all(|lookup| lookup.located().is_some()), "{how:?}");
        #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
        let calls = (out.calls() + well.calls()) as f64 / 2_000.0;
        println!("{how:?}: {calls:.3} calls a host, {} of them to the one that is out", out.calls());
        assert!(calls <= 1.1, "{how:?}: {calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_open_the_breaker_and_35_seconds_after_repair_it_is_asked_again() {
    for how in FAILURES {
        let server = broken(how);
        let locator = locator(&[(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server))]);
        let mut number = 0;
        while locator.providers()[0].breaker.0 == BreakerState::Closed {
            number += 1;
            let lookup = locator.locate(address(number)).await;
            let reason = if how == Failing::Garbage {
                UnlocatedReason::Malformed
            } else {
                UnlocatedReason::Unreachable
            };
            assert_eq!(lookup.reason(), Some(reason), "{how:?}");
        }
        assert!(server.calls() <= 5, "{how:?}: {}", server.calls());
        let lookups = locator.locate_with(&addresses(1_000), impatient()).await;
        assert!(
            lookups.iter().all(|lookup| matches!(lookup, Lookup::Deferred { .. })),
            "still due, not failed"
        );

        server.change(|behaviour| behaviour.fails = None);
        let repaired = Instant::now();
        while locator.locate_with(&[address(7)], impatient()).await[0].located().is_none() {
            sleep(Duration::from_millis(500)).await;
        }
        println!("{how:?}: open after {} calls, back after {:?}", number, repaired.elapsed());
        assert!(repaired.elapsed() <= Duration::from_secs(35));
    }
}

/// One provider that knows nothing and one that is out: nobody waits for the one that is out, however patient.
#[tokio::test(start_paused = true)]
async fn what_only_a_provider_that_is_out_could_know_is_not_waited_for() {
    for how in FAILURES {
        let misses = addresses(500).into_iter().collect();
        let (out, ignorant) = (broken(how), Server::new(Behaviour { misses, ..Behaviour::default() }));
        let locator = locator(&[
            (Simulated::unlimited(ProviderName::IpApi), ignorant),
            (Simulated::unlimited(ProviderName::Freeipapi), out),
        ]);
        let began = Instant::now();
        let patient = LocateOptions { patience: Duration::from_secs(90), ..LocateOptions::default() };
        let lookups = locator.locate_with(&addresses(500), patient).await;
        let failed = lookups.iter().filter(|lookup| lookup.reason().is_some()).count();
        let due = lookups.iter().filter(
            |lookup| matches!(lookup, Lookup::Deferred(deferral) if deferral.cause == DeferralCause::Outage),
        );
        assert_eq!(due.count() + failed, 500, "{how:?}");
        assert!(failed <= 40, "{how:?}: {failed} were burnt");
        // Two calls that are given up after eight seconds each, and no wait for the breaker, which would be 30.
        assert!(began.elapsed() < Duration::from_secs(25), "{how:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_is_one_call() {
    let server = broken(Failing::Unreachable);
    let locator = locator(&[(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server))]);
    locator.locate_with(&addresses(100), impatient()).await;
    let before = server.calls();
    sleep(Duration::from_secs(31)).await;
    locator.locate_with(&addresses(100), impatient()).await;
    assert_eq!(server.calls() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_asked_with_once_and_never_again() {
    let refused = broken(Failing::Status(401));
    let alone = locator(&[(Simulated::unlimited(ProviderName::Ipinfo), Arc::clone(&refused))]);
    let lookup = alone.locate(address(1)).await;
    assert_eq!(lookup.reason(), Some(UnlocatedReason::Rejected));
    let later = alone.locate_with(&addresses(50), LocateOptions::default()).await;
    assert!(later.iter().all(|lookup| lookup.reason() == Some(UnlocatedReason::Rejected)), "{later:?}");
    assert_eq!(refused.calls(), 1);
    assert_eq!(alone.providers()[0].disabled_because.as_deref(), Some("its key was refused"));

    let (refused, well) = (broken(Failing::Status(401)), Server::new(Behaviour::default()));
    let both = locator(&[
        (Simulated::unlimited(ProviderName::Ipinfo), Arc::clone(&refused)),
        (Simulated::unlimited(ProviderName::IpApi), well),
    ]);
    let lookups = both.locate_with(&addresses(50), LocateOptions::default()).await;
    assert!(lookups.iter().all(|lookup| lookup.located().is_some()), "no address is burnt by it");
    assert!(refused.calls() <= 4, "those under way, and no other");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_once_is_tried_again_within_the_budget() {
    let server = Server::new(Behaviour { lost: 0.02, ..Behaviour::default() });
    let locator = locator(&[(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server))]);
    let lookups = locator.locate_with(&addresses(3_000), LocateOptions::default()).await;
    let located = lookups.iter().filter(|lookup| lookup.located().is_some()).count();
    let failed = lookups.iter().filter(|lookup| lookup.reason().is_some()).count();
    println!("4 % of the calls lost: {located} located, {failed} failed, {} calls", server.calls());
    assert_eq!(located + failed, 3_000);
    assert!(failed <= 20, "{failed}");
    assert!(server.calls() <= 3_300);
}
