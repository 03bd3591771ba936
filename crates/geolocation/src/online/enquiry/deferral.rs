//! What is concluded of addresses about which nobody can be asked in time.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::member::{Closed, Closure, soonest},
    Enquiries, Members,
};
use crate::{Deferral, DeferralCause};

/// After how long a ledger that failed is asked again.
const LEDGER_RETRY: Duration = Duration::from_secs(30);
/// A window that opens within this time is a better promise than the end of an outage, which nobody knows.
const SOON: Duration = Duration::from_mins(10);
/// Whoever answered is believed when another opinion would take longer than this.
const SECOND_OPINION: Duration = Duration::from_hours(1);

impl Enquiries<'_> {
    /// Concludes what nobody can be asked about before the deadline.
    pub(super) fn defer_who_waits_too_long(&mut self) {
        let now = Instant::now();
        let askable = self.askable();
        for (asked, queue) in std::mem::take(&mut self.queues) {
            let others = askable.without(asked);
            if others.is_empty() {
                for position in queue {
                    self.place(position, &mut Some(false));
                }
                continue;
            }
            let closures = self.closures(others, queue.len(), now);
            let opens = soonest(closures.iter().map(|(_, closure)| closure));
            let in_time = closures.is_empty() || opens.is_some_and(|opens| opens <= self.deadline);
            if self.ledger_failure.is_none() && in_time {
                self.queues.insert(asked, queue);
                continue;
            }
            let cause = if opens.is_none() { DeferralCause::Outage } else { DeferralCause::Quota };
            let promising = if opens.is_some_and(|opens| opens <= now + SOON) {
                closures.into_iter().filter(|(_, closure)| closure.reason != Closed::ByOutage).collect()
            } else {
                closures
            };
            for position in queue {
                self.defer(position, &promising, cause, now);
            }
        }
    }

    fn closures(&self, members: Members, waiting: usize, now: Instant) -> Vec<(usize, Closure)> {
        let members =
            self.pool.members.iter().enumerate().filter(|(position, _)| members.contains(*position));
        members
            .filter_map(|(position, member)| Some((position, member.ready_lane(waiting, now).err()?)))
            .flat_map(|(position, closures)| closures.into_iter().map(move |closure| (position, closure)))
            .collect()
    }

    fn defer(&mut self, position: usize, closures: &[(usize, Closure)], cause: DeferralCause, now: Instant) {
        let open = &mut self.open[position];
        open.outcome.deferred = if let Some(failure) = &self.ledger_failure {
            Some(Deferral { wait: LEDGER_RETRY, why: failure.clone(), cause: DeferralCause::Outage })
        } else {
            let promise = self.pool.promises.promise(open.address, closures, now);
            let answered = open.outcome.miss.is_some() || open.outcome.located.is_some();
            promise.filter(|(wait, _)| !answered || *wait <= SECOND_OPINION).map(|(wait, why)| Deferral {
                wait,
                why: why.to_owned(),
                cause,
            })
        };
        self.conclude(position);
    }
}
