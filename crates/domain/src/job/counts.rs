use serde::{Deserialize, Serialize};

use super::{JobKind, JobState};
use crate::Timestamp;

/// How many jobs of a kind there are, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "each field is the state of its name")]
pub struct JobCounts {
    pub available: u64,
    pub scheduled: u64,
    pub retryable: u64,
    pub running: u64,
    pub completed: u64,
    pub cancelled: u64,
    pub discarded: u64,
    pub total: u64,
}

impl JobCounts {
    /// The count of one state.
    pub const fn of(&self, state: JobState) -> u64 {
        match state {
            JobState::Available => self.available,
            JobState::Scheduled => self.scheduled,
            JobState::Retryable => self.retryable,
            JobState::Running => self.running,
            JobState::Completed => self.completed,
            JobState::Cancelled => self.cancelled,
            JobState::Discarded => self.discarded,
        }
    }

    /// Adds `count` jobs of `state`.
    pub fn add(&mut self, state: JobState, count: u64) {
        let field = match state {
            JobState::Available => &mut self.available,
            JobState::Scheduled => &mut self.scheduled,
            JobState::Retryable => &mut self.retryable,
            JobState::Running => &mut self.running,
            JobState::Completed => &mut self.completed,
            JobState::Cancelled => &mut self.cancelled,
            JobState::Discarded => &mut self.discarded,
        };
        *field += count;
        self.total += count;
    }

    /// How many wait.
    pub const fn waiting(&self) -> u64 {
        self.available + self.scheduled + self.retryable
    }
}

/// All job counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "each field is the kind of its name")]
pub struct JobStats {
    pub banner_grab: JobCounts,
    pub domain_enum: JobCounts,
    pub geolocation: JobCounts,
    pub ssl_cert: JobCounts,
}

impl JobStats {
    /// The counts of one kind.
    pub const fn of(&self, kind: JobKind) -> &JobCounts {
        match kind {
            JobKind::BannerGrab => &self.banner_grab,
            JobKind::DomainEnum => &self.domain_enum,
            JobKind::Geolocation => &self.geolocation,
            JobKind::SslCert => &self.ssl_cert,
        }
    }

    /// The counts of one kind, to be filled.
    pub const fn of_mut(&mut self, kind: JobKind) -> &mut JobCounts {
        match kind {
            JobKind::BannerGrab => &mut self.banner_grab,
            JobKind::DomainEnum => &mut self.domain_enum,
            JobKind::Geolocation => &mut self.geolocation,
            JobKind::SslCert => &mut self.ssl_cert,
        }
    }
}

/// The jobs of one kind, and what holds them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindStats {
    /// Its counts.
    #[serde(flatten)]
    pub counts: JobCounts,
    /// Since when it is paused; null while it is not.
    pub paused_at: Option<Timestamp>,
    /// How many of it may run at once, over all processes; null without a cap.
    pub cap: Option<u32>,
}

/// The queue, as `stats jobs --json` prints it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "each field is the kind of its name")]
pub struct QueueStats {
    pub banner_grab: KindStats,
    pub domain_enum: KindStats,
    pub geolocation: KindStats,
    pub ssl_cert: KindStats,
}

impl QueueStats {
    /// One kind.
    pub const fn of(&self, kind: JobKind) -> &KindStats {
        match kind {
            JobKind::BannerGrab => &self.banner_grab,
            JobKind::DomainEnum => &self.domain_enum,
            JobKind::Geolocation => &self.geolocation,
            JobKind::SslCert => &self.ssl_cert,
        }
    }
}

impl FromIterator<KindStatus> for QueueStats {
    fn from_iter<I: IntoIterator<Item = KindStatus>>(kinds: I) -> Self {
        let mut stats = Self::default();
        for KindStatus { kind, counts, paused_at, cap, .. } in kinds {
            let of = match kind {
                JobKind::BannerGrab => &mut stats.banner_grab,
                JobKind::DomainEnum => &mut stats.domain_enum,
                JobKind::Geolocation => &mut stats.geolocation,
                JobKind::SslCert => &mut stats.ssl_cert,
            };
            *of = KindStats { counts, paused_at, cap };
        }
        stats
    }
}

/// A kind as the jobs page heads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindStatus {
    /// The kind.
    pub kind: JobKind,
    /// Its counts.
    pub counts: JobCounts,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// Whether any worker of this build has a handler for it.
    pub served: bool,
    /// When the longest waiting job of it was queued.
    pub oldest_waiting: Option<Timestamp>,
    /// How many of it may run at once, over all processes; none for as many as they like.
    pub cap: Option<u32>,
}
