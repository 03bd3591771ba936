//! Callers share enquiries, answers and room, and leave nothing behind.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use hostatlas_domain::{Address, ProviderName};
use hostatlas_geolocation::{
    LocateOptions, Lookup,
    online::{
        CacheConfig, KeptAnswer, Ledger, LedgerError, MemoryLedger, NewAnswer, SettleCall, TakeCall, Taken,
    },
};
use tokio::time::{sleep, timeout};

use crate::support::{Behaviour, MINUTE, Server, Simulated, address, addresses, builder, locator};

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_who_ask_for_one_address_are_one_call() {
    let server = Server::new(Behaviour::default());
    let locator = locator(&[(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server))]);
    for force in [false, true] {
        let options = LocateOptions { force, ..LocateOptions::default() };
        let everybody: Vec<_> = (0..100_000)
            .map(|_| {
                let locator = locator.clone();
                tokio::spawn(async move { locator.locate_with(&[address(1)], options).await })
            })
            .collect();
        for somebody in everybody {
            assert!(somebody.await.expect("an answer")[0].located().is_some());
        }
        println!("100,000 callers, force {force}: {} calls so far", server.calls());
        assert_eq!(server.calls(), if force { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_one_who_gives_up_enquires_on_its_own() {
    let server = Server::new(Behaviour { latency: (MINUTE / 60, MINUTE / 60), ..Behaviour::default() });
    let locator = locator(&[(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server))]);
    let gives_up = timeout(Duration::from_millis(100), locator.locate(address(1)));
    let (given_up, located) = tokio::join!(gives_up, locator.locate(address(1)));
    assert!(given_up.is_err());
    assert!(located.located().is_some());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_lookup_ends_its_calls() {
    let server = Server::new(Behaviour { latency: (MINUTE / 60, MINUTE / 60), ..Behaviour::default() });
    let locator = locator(&[(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server))]);
    let asked = addresses(50);
    let located = locator.locate_with(&asked, LocateOptions::default());
    assert!(timeout(Duration::from_millis(100), located).await.is_err());
    assert_eq!(server.see(|seen| seen.under_way), 0);
    sleep(MINUTE).await;
    assert_eq!(server.calls(), 0, "nothing goes on behind it");
    assert!(locator.locate(address(1)).await.located().is_some(), "and nothing is held");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_under_way_than_workers() {
    let server = Server::new(Behaviour::default());
    let provider = Simulated::unlimited(ProviderName::IpApi);
    let workers = NonZeroUsize::new(3).expect("not zero");
    let locator = builder(&[(provider, Arc::clone(&server))]).workers(workers).build();
    let asked = addresses(60);
    join_all(asked.chunks(10).map(|share| locator.locate_with(share, LocateOptions::default()))).await;
    assert_eq!(server.see(|seen| (seen.requests.len(), seen.most_under_way)), (60, 3));
}

#[tokio::test(start_paused = true)]
async fn answers_are_kept_for_their_time_also_across_a_restart_and_force_asks_all_the_same() {
    let server = Server::new(Behaviour { misses: [address(2)].into(), ..Behaviour::default() });
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let start = || {
        let provider = Simulated::unlimited(ProviderName::IpApi);
        let cache = CacheConfig {
            located_for: Duration::from_hours(24),
            missed_for: Duration::from_hours(1),
            entries: 1_000,
        };
        builder(&[(provider, Arc::clone(&server))]).ledger(Arc::clone(&ledger)).cache(cache).build()
    };
    let mut calls = Vec::new();
    for (hours, force) in [(0, false), (0, false), (2, false), (23, false), (0, true)] {
        sleep(Duration::from_hours(hours)).await;
        let options = LocateOptions { force, ..LocateOptions::default() };
        start().locate_with(&[address(1), address(2)], options).await;
        calls.push(server.calls());
    }
    // Both; none; the miss again after its hour; both after a day; both since it is forced.
    assert_eq!(calls, [2, 2, 3, 5, 7]);
    assert_eq!(start().would_send(&[address(1), address(3)], false).await, 1);
    assert_eq!(start().would_send(&[address(1), address(3)], true).await, 2);
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_kept() {
    let server = Server::new(Behaviour { lost: 1.0, ..Behaviour::default() });
    let locator = locator(&[(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server))]);
    assert!(matches!(locator.locate(address(1)).await, Lookup::Failed { .. }));
    server.change(|behaviour| behaviour.lost = 0.0);
    assert!(locator.locate(address(1)).await.located().is_some());
}

/// A ledger whose database is gone.
struct Gone;

fn gone() -> LedgerError {
    LedgerError(Box::from("the disk is full"))
}

#[async_trait]
impl Ledger for Gone {
    async fn take(&self, _call: TakeCall) -> Result<Taken, LedgerError> {
        Err(gone())
    }

    async fn settle(&self, _call: SettleCall) -> Result<(), LedgerError> {
        Err(gone())
    }

    async fn answers(&self, _addresses: &[Address]) -> Result<Vec<KeptAnswer>, LedgerError> {
        Err(gone())
    }

    async fn keep(&self, _answers: Vec<NewAnswer>) -> Result<(), LedgerError> {
        Err(gone())
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_ledger_nobody_is_called_and_every_address_stays_due() {
    let server = Server::new(Behaviour::default());
    let provider = Simulated::new(ProviderName::IpApi, &[(1, Some((10, MINUTE)))], Duration::ZERO);
    let locator = builder(&[(provider, Arc::clone(&server))]).ledger(Arc::new(Gone)).build();
    let lookups = locator.locate_with(&addresses(20), LocateOptions::default()).await;
    for lookup in lookups {
        let Lookup::Deferred(hostatlas_geolocation::Deferral { why, .. }) = lookup else {
            panic!("{lookup:?}")
        };
        assert_eq!(why, "the count of provider calls cannot be kept");
    }
    assert_eq!(server.calls(), 0);
}
