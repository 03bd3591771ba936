//! One enquiry about an address at a time, however many want to know.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hostatlas_domain::Address;
use tokio::sync::watch;

use super::outcome::Outcome;

/// What is enquired: an address of all providers, or of the one at a position.
pub(super) type Enquiry = (Address, Option<usize>);

/// The enquiries that are under way. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Flights {
    under_way: Arc<Mutex<HashMap<Enquiry, Waiting>>>,
}

/// Gets the outcome once it is known; closed without one if whoever enquired gave up.
pub(super) type Waiting = watch::Receiver<Option<Outcome>>;

/// Whether to enquire or to wait for who does.
pub(super) enum Boarding {
    Leads(Flight),
    Follows(Waiting),
}

/// An enquiry of ours. Dropping it lets another enquire.
pub(super) struct Flight {
    flights: Flights,
    enquiry: Enquiry,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Flights {
    pub(super) fn board(&self, enquiry: Enquiry) -> Boarding {
        match self.under_way().entry(enquiry) {
            Entry::Occupied(flight) => Boarding::Follows(flight.get().clone()),
            Entry::Vacant(free) => {
                let (outcome, waiting) = watch::channel(None);
                free.insert(waiting);
                Boarding::Leads(Flight { flights: self.clone(), enquiry, outcome })
            }
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Enquiry, Waiting>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Tells all who wait.
    pub(super) fn land(self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.under_way().remove(&self.enquiry);
    }
}
