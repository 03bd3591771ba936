use std::sync::Arc;

use async_trait::async_trait;
use hostatlas_domain::{Address, Located, ProviderName, Timestamp, UnlocatedReason};

/// Something that can be asked where an address is.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Who this is.
    fn name(&self) -> ProviderName;

    /// Where `address` is. Only public addresses may be asked for.
    async fn lookup(&self, address: Address) -> Result<Answer, LookupError>;

    /// The answers for `addresses`, one each and in their order.
    async fn lookup_batch(&self, addresses: &[Address]) -> Vec<Result<Answer, LookupError>>;

    /// Build time of the newest data the places come from; `None` for a provider that is always current.
    fn database_build(&self) -> Option<Timestamp>;
}

/// What a provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address is here. Addresses at one place in one network usually share one allocation.
    Found(Arc<Located>),
    /// The provider was asked and knows no place: [`UnlocatedReason::NoRecord`] or [`UnlocatedReason::NullIsland`].
    Miss(UnlocatedReason),
}

/// Why a provider gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No installed database has addresses of this family.
    #[error("no database with {family} places is installed")]
    NoDatabase {
        /// `IPv4` or `IPv6`.
        family: &'static str,
    },

    /// The answer is damaged; asking the same source again gives the same.
    #[error("the answer could not be read: {detail}")]
    Malformed {
        /// What is wrong with it, and with which file.
        detail: String,
    },

    /// The lookup was given up before it ended, because the program is stopping.
    #[error("the lookup was interrupted")]
    Interrupted,
}

impl LookupError {
    /// The reason under which a host stays unlocated.
    pub const fn reason(&self) -> UnlocatedReason {
        match self {
            Self::NoDatabase { .. } => UnlocatedReason::NoDatabase,
            Self::Malformed { .. } => UnlocatedReason::Malformed,
            Self::Interrupted => UnlocatedReason::Failed,
        }
    }

    /// Whether asking again cannot help until somebody installs something else.
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::NoDatabase { .. } | Self::Malformed { .. } => true,
            Self::Interrupted => false,
        }
    }
}
