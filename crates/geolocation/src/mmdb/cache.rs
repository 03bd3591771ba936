use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names a value by up to two positions in database files.
pub type Key = [u64; 2];

/// Entries that share one place in the table. Four is one short scan and keeps what is asked for often.
const WAYS: usize = 4;
/// More than there are threads that look up at once.
const SHARDS: usize = 64;

/// A fixed number of shared values, found by key in constant time.
///
/// The bound is strict: a new value takes the place of the least asked-for of four. A map with a true order of use
/// would cost more than the decoding that it saves.
pub struct Cache<V> {
    shards: Box<[Mutex<Shard<V>>]>,
}

type Shard<V> = Box<[Set<V>]>;
type Set<V> = [Option<(Key, Arc<V>)>; WAYS];

impl<V> Cache<V> {
    /// Room for `entries` values, rounded up to a multiple of 256.
    pub fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(SHARDS * WAYS).max(1);
        let shard = || Mutex::new((0..sets).map(|_| [const { None }; WAYS]).collect());
        Self { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// The value of `key`, if it is still here.
    pub fn get(&self, key: Key) -> Option<Arc<V>> {
        let (mut sets, index) = self.locate(key);
        let set = &mut sets[index];
        let way = set.iter().position(|entry| entry.as_ref().is_some_and(|(known, _)| *known == key))?;
        let value = set[way].as_ref().map(|(_, value)| Arc::clone(value));
        // One step towards the front a hit: what is asked for often survives a scan of many others.
        set.swap(way, way.saturating_sub(1));
        value
    }

    /// Keeps `value`, dropping another if its set is full.
    pub fn insert(&self, key: Key, value: Arc<V>) {
        let (mut sets, index) = self.locate(key);
        let set = &mut sets[index];
        let way = set
            .iter()
            .position(|entry| entry.as_ref().is_none_or(|(known, _)| *known == key))
            .unwrap_or(WAYS - 1);
        let dropped = set[way].replace((key, value));
        // Freed after the lock is open again.
        drop(sets);
        drop(dropped);
    }

    fn locate(&self, [first, second]: Key) -> (MutexGuard<'_, Shard<V>>, usize) {
        let mixed = (first ^ second.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        #[expect(clippy::cast_possible_truncation, reason = "each takes bits of the hash, which has enough")]
        let (shard, set) = ((mixed >> 58) as usize, (mixed >> 24) as u32 as usize);
        let sets = self.shards[shard % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        let index = set % sets.len();
        (sets, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_under_its_key_alone() {
        let cache = Cache::new(256);
        cache.insert([1, 2], Arc::new("one"));
        assert_eq!((cache.get([1, 2]).as_deref(), cache.get([2, 1])), (Some(&"one"), None));
    }

    #[test]
    fn a_full_cache_holds_no_more_than_its_bound() {
        let cache = Cache::new(256);
        (0..10_000).for_each(|number| cache.insert([number, 0], Arc::new(number)));
        let kept = (0..10_000).filter(|&number| cache.get([number, 0]).is_some()).count();
        assert!((200..=256).contains(&kept), "{kept} kept");
    }

    #[test]
    fn what_is_asked_for_often_survives_a_scan() {
        let cache = Cache::new(256);
        cache.insert([7, 7], Arc::new(0));
        for number in 0..10_000 {
            cache.insert([number, 0], Arc::new(number));
            cache.get([7, 7]);
        }
        assert!(cache.get([7, 7]).is_some());
    }
}
