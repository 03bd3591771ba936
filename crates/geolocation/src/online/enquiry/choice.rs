//! Whom to ask next, about which addresses.

use tokio::time::Instant;

use super::{super::member::soonest, Enquiries, Members};

/// What to do next.
pub(super) enum Step {
    Call {
        member: usize,
        lane: usize,
        about: Vec<usize>,
    },
    /// Nothing before then, or before a call that is under way ends.
    Wait(Option<Instant>),
    /// The same, once fewer calls are under way.
    Worker,
}

/// A call that could be made at once.
struct Candidate {
    member: usize,
    lane: usize,
    /// Addresses that it takes.
    most: usize,
}

impl Enquiries<'_> {
    /// Everybody who may be asked at all.
    pub(super) fn askable(&self) -> Members {
        let members = self.pool.members.iter().enumerate();
        members
            .filter(|(position, member)| {
                member.disabled().is_none() && self.only.is_none_or(|only| only == *position)
            })
            .map(|(position, _)| position)
            .collect()
    }

    pub(super) fn next_step(&mut self) -> Step {
        if self.ledger_failure.is_some() {
            return Step::Wait(None);
        }
        let now = Instant::now();
        let mut wake: Option<Instant> = None;
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut finer_in_time = false;
        let members = self.pool.members.iter().enumerate();
        // Whoever knows only countries is left alone while somebody who may know more can be asked in time.
        let (coarse, fine): (Vec<_>, Vec<_>) = members.partition(|(_, member)| member.is_coarse());
        for (position, member) in fine.into_iter().chain(coarse) {
            let waiting = self.waiting_for(position);
            if waiting == 0 || (member.is_coarse() && finer_in_time) {
                continue;
            }
            let ready = member.ready_lane(waiting, now);
            let opens = ready.as_ref().err().and_then(soonest);
            finer_in_time |=
                !member.is_coarse() && (ready.is_ok() || opens.is_some_and(|opens| opens <= self.deadline));
            match ready {
                Err(_) => wake = [wake, opens].into_iter().flatten().min(),
                Ok(lane) => {
                    let most = self.batch(position, lane);
                    if waiting >= most || !self.may_be_filled(position) {
                        candidates.push(Candidate { member: position, lane, most });
                    }
                }
            }
        }
        let left = |candidate: &Candidate| (candidate.member, self.pool.members[candidate.member].left(now));
        let next = self.pool.rotate(&candidates.iter().map(left).collect::<Vec<_>>());
        match candidates.into_iter().find(|candidate| Some(candidate.member) == next) {
            Some(Candidate { member, lane, most }) => {
                Step::Call { member, lane, about: self.pull(member, most) }
            }
            None => Step::Wait(wake),
        }
    }

    /// Whether calls to others that are under way may leave addresses for it, and so fill its next batch.
    fn may_be_filled(&self, member: usize) -> bool {
        self.under_way.iter().any(|(asks, asked)| *asks != member && !asked.contains(member))
    }

    fn batch(&self, member: usize, lane: usize) -> usize {
        let most = self.pool.members[member].lanes[lane].batch;
        self.options.batch_size.map_or(most, |size| most.min(size.get()))
    }

    /// How many addresses may be asked of a provider.
    fn waiting_for(&self, member: usize) -> usize {
        if !self.askable().contains(member) {
            return 0;
        }
        let queues = self.queues.iter().filter(|(asked, _)| !asked.contains(member));
        queues.map(|(_, queue)| queue.len()).sum()
    }

    /// Takes up to `most` addresses to ask a provider about; first those that others could not tell.
    fn pull(&mut self, member: usize, most: usize) -> Vec<usize> {
        let mut pulled = Vec::with_capacity(most.min(1_024));
        for (_, queue) in self.queues.iter_mut().rev().filter(|(asked, _)| !asked.contains(member)) {
            let count = queue.len().min(most - pulled.len());
            pulled.extend(queue.drain(..count));
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        pulled
    }
}
