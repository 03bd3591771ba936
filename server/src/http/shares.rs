//! What may go on at once, in all and for each client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::client::Client;

/// Counts what goes on.
#[derive(Debug)]
pub struct Shares {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<Client, usize>,
}

/// The right to one of them, for as long as it is held.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    client: Client,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The client has all that one client may have.
    Client,
    /// All clients together have all there is.
    All,
}

impl Shares {
    /// `all` at once, `each` for one client.
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default() })
    }

    /// One more for `client`.
    pub fn take(self: &Arc<Self>, client: Client) -> Result<Share, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.of.get(&client).is_some_and(|of| *of >= self.each) {
            return Err(Full::Client);
        }
        if taken.all >= self.all {
            return Err(Full::All);
        }
        taken.all += 1;
        *taken.of.entry(client).or_default() += 1;
        drop(taken);
        Ok(Share { shares: Arc::clone(self), client })
    }

    /// How many one client may have.
    pub const fn each(&self) -> usize {
        self.each
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.of.get_mut(&self.client).map_or(0, |of| {
            *of = of.saturating_sub(1);
            *of
        });
        // Who has nothing is not remembered: there are more addresses than memory.
        if left == 0 {
            taken.of.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_takes_the_share_of_the_others() {
        let shares = Shares::new(3, 2);
        let [first, second] = [1, 2].map(Client::numbered);
        let held: Vec<_> = [first, first].map(|client| shares.take(client).expect("a share")).into();

        assert_eq!(shares.take(first).err(), Some(Full::Client));
        let other = shares.take(second).expect("a share");
        assert_eq!(shares.take(second).err(), Some(Full::All));
        drop(held);
        assert!(shares.take(first).is_ok());
        drop(other);
        assert!(shares.taken.lock().expect("not poisoned").of.is_empty());
    }
}
