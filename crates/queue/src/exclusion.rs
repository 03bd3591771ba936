use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Who may work at the same time in this process, whatever the kind.
///
/// A job whose group died with two workers runs alone, and is given up after three more deaths. Those have to be its own:
/// while it is claimed and runs nothing else does, or the killer beside it would have it given up.
#[derive(Clone, Default)]
pub(crate) struct Exclusion(Arc<RwLock<()>>);

/// The right to claim a batch and run it, for as long as it is kept.
pub(crate) enum Slot {
    /// Beside others.
    Shared { _slot: OwnedRwLockReadGuard<()> },
    /// Beside nothing.
    Exclusive(OwnedRwLockWriteGuard<()>),
}

impl Exclusion {
    /// A slot beside others; waits for who is alone, and behind who waits to be.
    pub(crate) async fn shared(&self) -> Slot {
        Slot::Shared { _slot: Arc::clone(&self.0).read_owned().await }
    }

    /// A slot beside nothing; waits until everything has ended.
    pub(crate) async fn exclusive(&self) -> Slot {
        Slot::Exclusive(Arc::clone(&self.0).write_owned().await)
    }
}

impl Slot {
    /// Whether nothing else runs.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self, Self::Exclusive(_))
    }

    /// The same slot, beside which others may work again.
    pub(crate) fn into_shared(self) -> Self {
        match self {
            Self::Exclusive(slot) => Self::Shared { _slot: slot.downgrade() },
            shared @ Self::Shared { .. } => shared,
        }
    }
}
