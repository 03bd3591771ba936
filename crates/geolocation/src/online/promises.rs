//! When to come back: addresses that nobody may be asked about yet are spread over the windows to come.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hostatlas_domain::Address;
use moka::sync::Cache;
use tokio::time::Instant;

use super::member::Closure;

/// Addresses whose promise is remembered. Beyond that, one that asks again queues up anew.
const MOST_PROMISES: u64 = 1_000_000;
/// Promises further ahead are of no use: the installation restarts, keys and limits change.
const FURTHEST: Duration = Duration::from_hours(31 * 24);

/// Nobody is told to come back at once.
const SHORTEST: Duration = Duration::from_millis(100);

/// What was promised to whom.
pub(super) struct Promises {
    queues: Mutex<HashMap<(usize, usize), Queue>>,
    made: Cache<Address, Instant>,
}

/// The end of what is promised of one way to ask a provider.
struct Queue {
    /// The window that is being filled opens then.
    opens: Instant,
    /// Addresses promised to it.
    filled: u64,
}

impl Default for Promises {
    fn default() -> Self {
        Self { queues: Mutex::default(), made: Cache::new(MOST_PROMISES) }
    }
}

impl Promises {
    /// For how long `address` should wait, by the closures of those who could be asked: each with the position of its
    /// provider.
    pub(super) fn promise<'a>(
        &self,
        address: Address,
        closures: &'a [(usize, Closure)],
        now: Instant,
    ) -> Option<(Duration, &'a str)> {
        let soonest = closures.iter().min_by_key(|(_, closure)| closure.until)?;
        if let Some(promised) = self.made.get(&address) {
            // Whoever came back in time, and in vain, does not queue up behind all the others again.
            let until = if now < promised { promised } else { soonest.1.until };
            return Some((until.saturating_duration_since(now).max(SHORTEST), &soonest.1.why));
        }
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let (opens, position, closure) = closures
            .iter()
            .map(|(position, closure)| {
                let queue = queues
                    .entry((*position, closure.lane))
                    .or_insert(Queue { opens: closure.until, filled: 0 });
                if queue.opens < closure.until {
                    *queue = Queue { opens: closure.until, filled: 0 };
                }
                if queue.filled >= closure.capacity && now + FURTHEST > queue.opens {
                    *queue = Queue { opens: queue.opens + closure.window, filled: 0 };
                }
                (queue.opens, *position, closure)
            })
            .min_by_key(|(opens, ..)| *opens)?;
        if let Some(queue) = queues.get_mut(&(position, closure.lane)) {
            queue.filled = queue.filled.saturating_add(1);
        }
        drop(queues);
        self.made.insert(address, opens);
        Some((opens.saturating_duration_since(now).max(SHORTEST), &closure.why))
    }

    /// `address` was asked about: a later wait is a new one.
    pub(super) fn kept(&self, address: Address) {
        self.made.invalidate(&address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{super::member::Closed, *};

    fn closure(lane: usize, until: Instant, capacity: u64) -> Closure {
        let window = Duration::from_mins(1);
        Closure { lane, until, reason: Closed::ByUs, why: "used up".to_owned(), capacity, window }
    }

    fn waits(promises: &Promises, closures: &[(usize, Closure)], first: u32, count: u32) -> Vec<u64> {
        let now = Instant::now();
        (first..first + count)
            .map(|bits| {
                let address = Address::from(IpAddr::V4(Ipv4Addr::from_bits(bits)));
                promises.promise(address, closures, now).expect("a closure").0.as_secs()
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_window_to_come_is_promised_to_as_many_as_it_takes() {
        let promises = Promises::default();
        let closures = [(0, closure(0, Instant::now() + Duration::from_secs(40), 2))];
        assert_eq!(waits(&promises, &closures, 1, 5), [40, 40, 100, 100, 160]);
        assert_eq!(waits(&promises, &closures, 1, 5), [40, 40, 100, 100, 160], "they keep their promise");
        assert_eq!(waits(&promises, &closures, 9, 2), [160, 220], "others come after them");
    }

    #[tokio::test(start_paused = true)]
    async fn windows_of_several_providers_are_filled_as_they_open() {
        let promises = Promises::default();
        let soon = Instant::now() + Duration::from_secs(10);
        let closures = [(0, closure(0, soon, 1)), (1, closure(0, soon + Duration::from_secs(5), 2))];
        assert_eq!(waits(&promises, &closures, 1, 5), [10, 15, 15, 70, 75]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_back_in_vain_does_not_queue_up_again() {
        let promises = Promises::default();
        let closures = [(0, closure(0, Instant::now() + Duration::from_secs(40), 1))];
        assert_eq!(waits(&promises, &closures, 1, 3), [40, 100, 160]);
        tokio::time::advance(Duration::from_secs(41)).await;
        let closures = [(0, closure(0, Instant::now() + Duration::from_secs(2), 1))];
        assert_eq!(waits(&promises, &closures, 1, 1), [2]);
    }
}
