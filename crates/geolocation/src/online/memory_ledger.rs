//! A ledger for one process, without a database.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, Limit, ProviderAnswer, ProviderName, ProviderTally, Timestamp, Window, take_permits,
};
use moka::sync::Cache;
use tokio::time::Instant;

use super::{KeptAnswer, Ledger, LedgerError, NewAnswer, Permit, SettleCall, TakeCall, Taken};

/// Addresses whose answers are kept; a few hundred bytes each.
const MOST_ANSWERS: u64 = 100_000;

/// Counts calls and keeps answers in memory. They are shared by the locators that share it, and end with it.
pub struct MemoryLedger {
    began: (Timestamp, Instant),
    counts: Mutex<Counts>,
    answers: Cache<Address, Arc<Vec<ProviderAnswer>>>,
}

#[derive(Default)]
struct Counts {
    windows: HashMap<(ProviderName, u32, String), Window>,
    tallies: HashMap<(ProviderName, u32), ProviderTally>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(Timestamp::default().plus(now))
    }
}

impl MemoryLedger {
    /// An empty ledger whose clock, for calendar days and months, says `now`.
    pub fn starting_at(now: Timestamp) -> Self {
        Self { began: (now, Instant::now()), counts: Mutex::default(), answers: Cache::new(MOST_ANSWERS) }
    }

    /// What came of the calls to `provider` so far.
    pub fn tally(&self, provider: ProviderName, account: u32) -> ProviderTally {
        self.counts().tallies.get(&(provider, account)).cloned().unwrap_or_default()
    }

    /// How many permits of `limit` are left.
    pub fn left(&self, provider: ProviderName, account: u32, limit: &Limit) -> u32 {
        let key = (provider, account, limit.name.to_string());
        let now = self.now();
        self.counts().windows.get(&key).map_or(limit.permits, |window| window.left(limit, now))
    }

    fn now(&self) -> Timestamp {
        let (epoch, began) = self.began;
        epoch.plus(began.elapsed())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn window(&mut self, provider: ProviderName, account: u32, limit: &Limit) -> &mut Window {
        self.windows.entry((provider, account, limit.name.to_string())).or_default()
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn take(&self, call: TakeCall) -> Result<Taken, LedgerError> {
        let TakeCall { provider, account, limits, addresses } = call;
        let now = self.now();
        let mut counts = self.counts();
        let mut windows: Vec<Window> =
            limits.iter().map(|limit| std::mem::take(counts.window(provider, account, limit))).collect();
        let taken = take_permits(&limits, &mut windows, addresses, now);
        for (limit, window) in limits.iter().zip(windows) {
            *counts.window(provider, account, limit) = window;
        }
        Ok(match taken {
            Ok(permits) => Taken::Granted(Permit {
                addresses: permits.addresses,
                windows: permits.calls,
                left: permits.left,
            }),
            Err((limit, wait)) => Taken::Wait {
                wait: wait.until.since(now),
                reason: wait.reason,
                limit: limits[limit].name.to_string(),
            },
        })
    }

    async fn settle(&self, call: SettleCall) -> Result<(), LedgerError> {
        let received = self.now().minus(call.age);
        let mut counts = self.counts();
        for (limit, name) in call.limits.iter().zip(&call.windows) {
            let window = counts.window(call.provider, call.account, limit);
            if call.unsent {
                window.give_back(*name);
            } else {
                window.observe(limit, *name, received, call.observation);
            }
        }
        counts.tallies.entry((call.provider, call.account)).or_default().add(&call.tally);
        Ok(())
    }

    async fn answers(&self, addresses: &[Address]) -> Result<Vec<KeptAnswer>, LedgerError> {
        let now = self.now();
        let mut found = Vec::new();
        for &address in addresses {
            for answer in self.answers.get(&address).iter().flat_map(|answers| answers.iter()) {
                let age = now.since(answer.answered_at);
                found.push(KeptAnswer { address, answer: answer.clone(), age });
            }
        }
        Ok(found)
    }

    async fn keep(&self, answers: Vec<NewAnswer>) -> Result<(), LedgerError> {
        let answered_at = self.now();
        for NewAnswer { address, provider, status } in answers {
            let mut kept = self.answers.get(&address).map(|kept| kept.to_vec()).unwrap_or_default();
            kept.retain(|answer| answer.provider != provider);
            kept.push(ProviderAnswer { provider, answered_at, status });
            self.answers.insert(address, Arc::new(kept));
        }
        Ok(())
    }
}
