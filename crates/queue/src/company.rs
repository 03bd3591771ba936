use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// What a process works on at the same time, whatever its kind.
///
/// A job whose group died with two workers runs alone, and is given up after three more deaths. Those have to be its own:
/// while it is claimed and runs nothing else does, or the killer beside it would have it given up.
#[derive(Clone, Default)]
pub(crate) struct Company(Arc<RwLock<()>>);

/// The right to claim a batch and run it, for as long as it is kept.
pub(crate) enum Place {
    /// Beside others.
    Shared { _place: OwnedRwLockReadGuard<()> },
    /// Beside nothing.
    Alone(OwnedRwLockWriteGuard<()>),
}

impl Company {
    /// A place beside others; waits for who is alone, and behind who waits to be.
    pub(crate) async fn join(&self) -> Place {
        Place::Shared { _place: Arc::clone(&self.0).read_owned().await }
    }

    /// A place beside nothing; waits until everything has ended.
    pub(crate) async fn alone(&self) -> Place {
        Place::Alone(Arc::clone(&self.0).write_owned().await)
    }
}

impl Place {
    /// Whether nothing else runs.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::Alone(_))
    }

    /// The same place, beside which others may work again.
    pub(crate) fn shared(self) -> Self {
        match self {
            Self::Alone(place) => Self::Shared { _place: place.downgrade() },
            shared @ Self::Shared { .. } => shared,
        }
    }
}
