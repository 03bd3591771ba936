use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hostatlas_domain::{Topic, TopicChange};

use super::Caches;
use crate::{Changes, HistoryId, StoreError};

/// What a process has seen of its database. `I` is how the engine tells a database from a copy of it.
///
/// The one place that decides whether what is kept in memory is still about this database. The store forgets the rows that
/// it knows ([`Caches`]); whoever keeps something else compares [`Changes`].
#[derive(Debug)]
pub struct Past<I> {
    caches: Caches,
    seen: Mutex<Seen<I>>,
}

#[derive(Debug)]
struct Seen<I> {
    identity: Option<I>,
    latest: Latest,
}

/// The history, and the largest change numbers that were seen in it.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    history: HistoryId,
    numbers: HashMap<Topic, i64>,
}

impl<I: PartialEq> Past<I> {
    /// Nothing was seen yet; `caches` hold the rows that the store knows.
    pub fn new(caches: Caches) -> Self {
        Self { caches, seen: Mutex::new(Seen { identity: None, latest: Latest::default() }) }
    }

    /// Notes which database it is, before an operation relies on what is known of it.
    pub fn is_now(&self, identity: I) {
        let mut seen = self.seen();
        let before = seen.identity.take();
        if before.is_some_and(|before| before != identity) {
            self.begin_anew(&mut seen);
            tracing::info!(
                "The database was put in its place or started anew: what is kept of it in memory is read anew"
            );
        }
        seen.identity = Some(identity);
    }

    /// The history that goes on.
    pub fn history(&self) -> HistoryId {
        self.seen().latest.history
    }

    /// Refuses what was asked for in another history: it is about rows that now are others.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the database is not the one that it was then.
    pub fn refuse_older(&self, asked_in: HistoryId) -> Result<(), StoreError> {
        if asked_in == self.history() {
            return Ok(());
        }
        let what =
            "another database took the place of the one for which this was asked, and nothing was written";
        Err(StoreError::Conflict(format!("{what}: look before it is asked again")))
    }

    /// What is known before change numbers are asked for.
    pub fn latest(&self) -> Latest {
        self.seen().latest.clone()
    }

    /// Change numbers that were asked for after `before`: none of them may be smaller.
    pub fn changes(&self, before: &Latest, topics: Vec<TopicChange>) -> Changes {
        let mut seen = self.seen();
        if seen.latest.history != before.history {
            // Of which of the two histories they are is not known; the next ones are of the new one.
            return Changes { history: before.history, topics };
        }
        let is_smaller = |change: &TopicChange| {
            before.numbers.get(&change.topic).is_some_and(|known| change.number < *known)
        };
        if topics.iter().any(is_smaller) {
            self.begin_anew(&mut seen);
            tracing::warn!(
                "The database went back to an earlier state: what is kept of it in memory is read anew"
            );
        }
        for TopicChange { topic, number } in &topics {
            let known = seen.latest.numbers.entry(*topic).or_insert(*number);
            *known = (*known).max(*number);
        }
        Changes { history: seen.latest.history, topics }
    }

    fn begin_anew(&self, seen: &mut Seen<I>) {
        let HistoryId(history) = seen.latest.history;
        seen.latest = Latest { history: HistoryId(history + 1), numbers: HashMap::new() };
        self.caches.forget();
    }

    fn seen(&self) -> MutexGuard<'_, Seen<I>> {
        // Nothing panics while it holds the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(map: i64, jobs: i64) -> Vec<TopicChange> {
        [(Topic::Map, map), (Topic::Jobs, jobs)].map(|(topic, number)| TopicChange { topic, number }).into()
    }

    /// Asks for the numbers and answers the history.
    fn ask(past: &Past<&str>, map: i64, jobs: i64) -> u64 {
        past.changes(&past.latest(), numbers(map, jobs)).history.0
    }

    #[test]
    fn a_history_ends_with_its_database_or_when_a_number_goes_back() {
        let past = Past::new(Caches::default());
        past.is_now("one");
        assert_eq!([ask(&past, 5, 5), ask(&past, 5, 6), ask(&past, 7, 6)], [0, 0, 0]);
        assert_eq!(ask(&past, 8, 5), 1, "one number went back");
        assert_eq!([ask(&past, 8, 5), ask(&past, 9, 9)], [1, 1]);
        past.is_now("one");
        assert_eq!(ask(&past, 9, 9), 1);
        // The numbers have caught up before anybody looked.
        past.is_now("another");
        assert_eq!([ask(&past, 9, 9), ask(&past, 10, 9)], [2, 2]);
    }

    #[test]
    fn answers_that_overtake_each_other_end_no_history() {
        let past = Past::new(Caches::default());
        past.is_now("one");
        let slow = past.latest();
        assert_eq!(ask(&past, 9, 9), 0);
        assert_eq!(past.changes(&slow, numbers(5, 5)).history.0, 0);
        assert_eq!(ask(&past, 9, 9), 0);
        let slow = past.latest();
        past.is_now("another");
        assert_eq!(past.changes(&slow, numbers(9, 9)).history.0, 0, "nobody takes it for news of the other");
        assert_eq!([ask(&past, 3, 3), ask(&past, 4, 3)], [1, 1]);
    }

    #[test]
    fn changes_in_another_history_are_changes_of_everything() {
        let changes = |history, map| Changes { history: HistoryId(history), topics: numbers(map, 5) };
        let since = |earlier: Changes, later: Changes| later.since(&earlier).collect::<Vec<_>>();
        assert_eq!(since(changes(0, 5), changes(0, 5)), []);
        assert_eq!(since(changes(0, 5), changes(0, 6)), [Topic::Map]);
        assert_eq!(since(changes(0, 5), changes(1, 5)), [Topic::Map, Topic::Jobs]);
    }
}
