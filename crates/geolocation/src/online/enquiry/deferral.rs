//! What is concluded of addresses about which nobody can be asked in time.

use std::time::Duration;

use tokio::time::Instant;

use super::{super::member::Closure, Enquiries, Members};

/// After how long a ledger that failed is asked again.
const LEDGER_RETRY: Duration = Duration::from_secs(30);
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
            let soonest = closures.iter().map(|(_, closure)| closure.until).min();
            if self.ledger_failure.is_none() && soonest.is_none_or(|until| until <= self.deadline) {
                self.queues.insert(asked, queue);
                continue;
            }
            for position in queue {
                self.defer(position, &closures, now);
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

    fn defer(&mut self, position: usize, closures: &[(usize, Closure)], now: Instant) {
        let open = &mut self.open[position];
        open.outcome.deferred = if let Some(failure) = &self.ledger_failure {
            Some((LEDGER_RETRY, failure.clone()))
        } else {
            let promise = self.pool.promises.promise(open.address, closures, now);
            let answered = open.outcome.miss.is_some() || open.outcome.located.is_some();
            promise
                .filter(|(wait, _)| !answered || *wait <= SECOND_OPINION)
                .map(|(wait, why)| (wait, why.to_owned()))
        };
        self.conclude(position);
    }
}
