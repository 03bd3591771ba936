//! What may happen to a queue.

/// How a worker says that an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Done, with an effect on the job's host.
    Completed,
    /// Not now.
    Snoozed,
    /// Failed, and to be tried again.
    Retryable,
    /// Failed for good.
    Discarded,
}

impl End {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Completed, Self::Snoozed, Self::Retryable, Self::Discarded];
}

/// One operation on the queue, or a tick of the clock. Workers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Somebody asks for work on a key.
    Enqueue {
        /// On which.
        key: u8,
        /// Whether a running job has to run again.
        force: bool,
        /// Whether it may wait for a tick.
        delayed: bool,
    },
    /// A worker takes a job that is due.
    Claim {
        /// Who.
        worker: u8,
        /// Which.
        slot: u8,
    },
    /// A worker looks at a job that is due, and leaves it as it is.
    Peek {
        /// Who.
        worker: u8,
        /// At which.
        slot: u8,
    },
    /// A worker says how its last attempt at a job ended.
    Finish {
        /// Who.
        worker: u8,
        /// Of which.
        slot: u8,
        /// How.
        end: End,
    },
    /// A worker says how a job ended that it looked at last: in one step it begins and ends an attempt.
    FinishPeeked {
        /// Who.
        worker: u8,
        /// Of which.
        slot: u8,
        /// How.
        end: End,
    },
    /// A worker gives a job back that it did not begin.
    Release {
        /// Who.
        worker: u8,
        /// Which.
        slot: u8,
    },
    /// A worker says that it lives.
    Renew {
        /// Who.
        worker: u8,
        /// For which.
        slot: u8,
    },
    /// A tick: leases run out, postponed jobs become due, finished ones grow old.
    Pass,
    /// Running jobs whose lease ran out are taken back.
    Rescue,
    /// A person stops a job.
    Cancel {
        /// Which.
        slot: u8,
    },
    /// A person wants a job again.
    Retry {
        /// Which.
        slot: u8,
    },
    /// Finished jobs that are old enough are deleted.
    Prune,
}
