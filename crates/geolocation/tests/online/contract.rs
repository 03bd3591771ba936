//! What a provider allows is used, and never one request more.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use hostatlas_domain::ProviderName;
use hostatlas_geolocation::{
    LocateOptions, Locator, Lookup,
    online::{Ledger, MemoryLedger},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Behaviour, MINUTE, Server, Simulated, Told, address, addresses, builder, locator};

const TOLD: [Told; 4] = [Told::Nothing, Told::Floor, Told::Ceil, Told::Nearest];

fn patient(patience: Duration) -> LocateOptions {
    LocateOptions { patience, ..LocateOptions::default() }
}

/// What a limited server answered in ten windows, in percent of what it allows in that time, and its refusals.
async fn ten_windows(told: Told, latency: Duration, spacing: Duration, processes: usize) -> (f64, u64) {
    let limits = [(100, Some((15, MINUTE))), (1, Some((45, MINUTE)))];
    let server = Server::new(Behaviour {
        limits: limits.iter().map(|(_, limit)| *limit).collect(),
        latency: (latency / 4, latency),
        told,
        ..Behaviour::default()
    });
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let asked = addresses(20_000);
    let share = asked.len() / processes;
    let runs = asked.chunks(share).map(|share| {
        let provider = Simulated::new(ProviderName::IpApi, &limits, spacing);
        let locator = builder(&[(provider, Arc::clone(&server))]).ledger(Arc::clone(&ledger)).build();
        async move {
            // Beyond the ten windows, what is left over is given up.
            let located = locator.locate_with(share, patient(MINUTE * 20));
            drop(timeout(MINUTE * 10, located).await);
        }
    });
    futures::future::join_all(runs).await;
    server.see(|seen| {
        #[expect(clippy::cast_precision_loss, reason = "some thousand addresses")]
        let percent = seen.answered.len() as f64 / f64::from(10 * (15 * 100 + 45)) * 100.0;
        (percent, seen.refused)
    })
}

#[tokio::test(start_paused = true)]
async fn ten_windows_are_used_by_98_percent_without_a_refusal() {
    for told in TOLD {
        for latency in [20, 700].map(Duration::from_millis) {
            for spacing in [0, 250, 1_000].map(Duration::from_millis) {
                let (percent, refused) = ten_windows(told, latency, spacing, 1).await;
                println!("{told:?}, {latency:?}, spaced {spacing:?}: {percent:.2} %, {refused} refused");
                assert!(
                    percent >= 98.0 && refused == 0,
                    "{told:?} {latency:?} {spacing:?}: {percent} {refused}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn four_processes_share_a_limit_and_use_95_percent_of_it() {
    for told in TOLD {
        let (percent, refused) = ten_windows(told, Duration::from_millis(100), Duration::ZERO, 4).await;
        println!("four processes, {told:?}: {percent:.2} %, {refused} refused");
        assert!(percent >= 95.0 && refused == 0, "{told:?}: {percent} {refused}");
    }
}

/// Requests that are made, restarts that happen meanwhile, and refusals.
async fn contract(requests: usize, seed: u64) -> (usize, u64, u64) {
    let limits = [(1, Some((400, MINUTE)))];
    let server = Server::new(Behaviour {
        limits: vec![limits[0].1],
        latency: (Duration::ZERO, Duration::from_millis(900)),
        told: TOLD[usize::try_from(seed % 4).expect("below four")],
        lost: 0.01,
        ..Behaviour::default()
    });
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let start = || -> Locator {
        let provider = Simulated::new(ProviderName::IpApi, &limits, Duration::ZERO);
        builder(&[(provider, Arc::clone(&server))])
            .ledger(Arc::clone(&ledger))
            .workers(NonZeroUsize::new(32).expect("not zero"))
            .build()
    };
    let mut random = StdRng::seed_from_u64(seed);
    let (mut locator, mut restarts, mut next) = (start(), 0, 0);
    while server.calls() < requests {
        let count = random.random_range(1..600);
        let asked: Vec<_> = (next..next + count).map(address).collect();
        next += count;
        let options =
            LocateOptions { force: true, ..patient(Duration::from_secs(random.random_range(0..70))) };
        // Now and then it is killed in the middle of everything.
        let life = Duration::from_millis(random.random_range(1..120_000));
        if let Ok(lookups) = timeout(life, locator.locate_with(&asked, options)).await {
            let wait = lookups.iter().filter_map(|lookup| match lookup {
                Lookup::Deferred(deferral) => Some(deferral.wait),
                _ => None,
            });
            sleep(wait.min().unwrap_or_default()).await;
        } else {
            locator = start();
            restarts += 1;
        }
        if random.random_bool(0.1) {
            sleep(Duration::from_millis(random.random_range(0..90_000))).await;
        }
        server.see(|seen| seen.answered.clear());
    }
    (server.calls(), restarts, server.see(|seen| seen.refused))
}

async fn contract_over(all: usize) {
    let began = std::time::Instant::now();
    let mut totals = (0, 0, 0);
    for seed in 0..4 {
        let (requests, restarts, refused) = contract(all / 4, seed).await;
        totals = (totals.0 + requests, totals.1 + restarts, totals.2 + refused);
    }
    let (requests, restarts, refused) = totals;
    println!("{requests} requests, {restarts} restarts, {refused} refused; took {:?}", began.elapsed());
    assert_eq!(refused, 0);
    assert!(restarts > 10);
}

#[tokio::test(start_paused = true)]
async fn not_one_request_comes_while_a_window_is_closed() {
    contract_over(20_000).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "takes some minutes; the law alone keeps the same contract in the tests of `domain`"]
async fn not_one_of_a_million_requests_comes_while_a_window_is_closed() {
    contract_over(1_000_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_mid_window_keeps_the_count() {
    let limits = [(1, Some((10, MINUTE)))];
    let behaviour = Behaviour { limits: vec![limits[0].1], ..Behaviour::default() };
    let server = Server::new(behaviour);
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let start = || {
        let provider = Simulated::new(ProviderName::IpApi, &limits, Duration::ZERO);
        builder(&[(provider, Arc::clone(&server))]).ledger(Arc::clone(&ledger)).build()
    };
    let first = start().locate_with(&addresses(7), patient(Duration::ZERO)).await;
    assert!(first.iter().all(|lookup| lookup.located().is_some()));
    let later: Vec<_> = (100..107).map(address).collect();
    let second = start().locate_with(&later, patient(Duration::ZERO)).await;
    assert_eq!(second.iter().filter(|lookup| lookup.located().is_some()).count(), 3);
    assert_eq!((server.calls(), server.see(|seen| seen.refused)), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn what_has_to_wait_comes_back_in_full_batches() {
    let limits = [(100, Some((15, MINUTE)))];
    let behaviour = Behaviour { limits: vec![limits[0].1], ..Behaviour::default() };
    let server = Server::new(behaviour);
    let provider = Simulated::new(ProviderName::IpApi, &limits, Duration::ZERO);
    let locator = locator(&[(provider, Arc::clone(&server))]);
    let began = Instant::now();
    let mut waiting: Vec<(Instant, u32)> = (0..6_000).map(|number| (began, number)).collect();
    while !waiting.is_empty() {
        // As a queue does: those whose time has come, in one go.
        waiting.sort_unstable();
        let due = waiting[0].0;
        tokio::time::sleep_until(due).await;
        let now = waiting.extract_if(.., |(at, _)| *at <= due + Duration::from_millis(500));
        let now: Vec<u32> = now.map(|(_, number)| number).collect();
        let asked: Vec<_> = now.iter().copied().map(address).collect();
        let lookups = locator.locate_with(&asked, patient(Duration::from_secs(2))).await;
        for (number, lookup) in now.into_iter().zip(lookups) {
            match lookup {
                Lookup::Located(_) => {}
                Lookup::Deferred(deferral) => waiting.push((Instant::now() + deferral.wait, number)),
                other => panic!("{other:?}"),
            }
        }
    }
    let took = began.elapsed();
    let calls = server.calls();
    println!("6,000 addresses at 1,500 a minute: {calls} calls, {took:?}");
    assert_eq!((calls, server.see(|seen| seen.refused)), (60, 0));
    assert!(took < MINUTE * 3 + Duration::from_secs(10), "{took:?}");
}
