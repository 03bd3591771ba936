//! What is asked for: which hosts, and how to look them up.

use std::{num::NonZeroUsize, time::Duration};

use hostatlas_domain::Mode;

use crate::Error;

/// Which hosts a run means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Those that are due.
    #[default]
    Due,
    /// Pending and unlocated ones, however recently they were tried.
    Missing,
    /// Located ones whose location is stale.
    Stale,
    /// All public ones.
    All,
    /// Those that match a query. [`Geolocate::run`](super::Geolocate::run) takes those of them that are due, unless the
    /// request is forced.
    Query(String),
    /// These; unknown ones are left out.
    Addresses(Vec<String>),
}

impl Selection {
    /// The only one that was named, of the ways there are to name hosts; none if none was. Of two, one would be ignored
    /// silently, so they are refused.
    pub fn only(named: impl IntoIterator<Item = Option<Self>>) -> Result<Option<Self>, Error> {
        let mut named = named.into_iter().flatten();
        let first = named.next();
        match named.next() {
            Some(_) => {
                Err(Error::invalid("hosts are named in two ways at once", "send one of them, not both"))
            }
            None => Ok(first),
        }
    }
}

/// How to look which hosts up.
#[derive(Clone, Debug)]
pub struct GeolocateRequest {
    /// How to go about it; [`Mode::Single`] is [`Geolocate::single`](super::Geolocate::single) and not accepted here.
    pub mode: Mode,
    /// Which hosts.
    pub selection: Selection,
    /// Hosts in one transaction of queueing, or at most so many in one request to an online provider.
    pub batch_size: Option<NonZeroUsize>,
    /// Pause between two lookups (sequential) or batches.
    pub delay: Duration,
    /// Whether age and cache are bypassed: [`Selection::Due`] becomes [`Selection::All`], and a query takes
    /// all hosts that match.
    pub force: bool,
    /// After how long a location is stale, unless as configured; zero makes every located host due.
    pub max_age: Option<Duration>,
    /// How many lookups may run at once, unless as configured.
    pub max_workers: Option<NonZeroUsize>,
}

impl GeolocateRequest {
    /// A direct batch over a selection, with everything else as it usually is.
    pub const fn of(selection: Selection) -> Self {
        Self {
            mode: Mode::AsyncBatch,
            selection,
            batch_size: None,
            delay: Duration::ZERO,
            force: false,
            max_age: None,
            max_workers: None,
        }
    }
}
