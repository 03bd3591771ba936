use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use hostatlas_geolocation::Locator;
use hostatlas_provider_standin::{Fault, StandIn};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

use crate::support::{
    Mode, OPTIONS, PROVIDERS, SEED, Verdict, addresses, eased, is_detectable, judge, long_form, panics,
    print_report, stand_in, transport,
};

/// Faults change this often.
const GUST: Duration = Duration::from_millis(10);
const CHUNK: usize = 250;

/// Gives one provider after the other another fault, or none, until dropped.
async fn blow(stand_in: &StandIn, random: &mut StdRng) {
    let faults: Vec<Fault> = Fault::ALL
        .iter()
        .copied()
        .filter(|fault| !fault.needs_patience() && PROVIDERS.iter().all(|name| is_detectable(*fault, *name)))
        .collect();
    loop {
        let name = PROVIDERS[random.random_range(0..PROVIDERS.len())];
        if random.random_bool(0.4) {
            stand_in.clear_fault(name);
        } else {
            stand_in.set_fault(name, faults[random.random_range(0..faults.len())]);
        }
        tokio::time::sleep(GUST).await;
    }
}

fn locator(stand_in: &StandIn) -> Locator {
    let transport = transport();
    PROVIDERS
        .into_iter()
        .filter_map(|name| eased(name, &stand_in.base_url(name), Mode::Both))
        .fold(Locator::builder(), |builder, provider| {
            builder.online_over(provider, Arc::clone(&transport) as _)
        })
        .build()
}

#[tokio::test]
async fn in_a_storm_of_faults_no_address_is_misplaced_and_after_it_none_is_lost() {
    panics();
    let began = Instant::now();
    let stand_in = stand_in().await;
    let mut random = StdRng::seed_from_u64(SEED);
    let hosts = addresses(7_000_000, long_form().unwrap_or(1_000));
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut wrong, mut left) = (Vec::new(), Vec::new());
    for chunk in hosts.chunks(CHUNK) {
        // A refused key disables a provider until a restart, which this is.
        let locator = locator(&stand_in);
        let lookups = tokio::select! {
            lookups = locator.locate_with(chunk, OPTIONS) => lookups,
            () = blow(&stand_in, &mut random) => unreachable!("it blows until dropped"),
        };
        for (address, lookup) in chunk.iter().zip(lookups) {
            let name = match judge(&stand_in, *address, &lookup) {
                Verdict::Located => "located",
                Verdict::UnknownIndeed => "unknown",
                Verdict::Missed => "missed",
                Verdict::Failed => "failed",
                Verdict::Deferred => "deferred",
                Verdict::Wrong(what) => {
                    wrong.push(what);
                    "wrong"
                }
            };
            *outcomes.entry(name).or_default() += 1;
            if matches!(name, "failed" | "deferred" | "missed") {
                left.push(*address);
            }
        }
    }
    for name in PROVIDERS {
        stand_in.clear_fault(name);
    }
    let after = locator(&stand_in).locate_with(&left, OPTIONS).await;
    let lost = left
        .iter()
        .zip(&after)
        .filter(|(address, lookup)| {
            !matches!(judge(&stand_in, **address, lookup), Verdict::Located | Verdict::UnknownIndeed)
        })
        .count();

    if long_form().is_some() {
        let report = json!({
            "report": "storm",
            "seed": SEED,
            "hosts": hosts.len(),
            "outcomes": outcomes,
            "looked_up_again": left.len(),
            "lost": lost,
            "wrong": wrong.len(),
            "redirects_followed": stand_in.trapped(),
            "panics": panics().load(Ordering::Relaxed),
            "seconds": began.elapsed().as_secs_f64(),
        });
        print_report(&report);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((lost, stand_in.trapped(), panics().load(Ordering::Relaxed)), (0, 0, 0));
}
