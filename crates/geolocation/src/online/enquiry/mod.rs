//! Asks the providers about the addresses of one caller: whom next, in which calls, until when.

mod choice;
mod deferral;
mod members;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use futures::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use hostatlas_domain::{Address, UnlocatedReason};
use tokio::{
    select,
    sync::SemaphorePermit,
    time::{Instant, sleep_until},
};
use tracing::warn;

use self::{choice::Step, members::Members};
use super::{
    Refusal,
    call::{self, CallEnd, CallResult, Note, Wish},
    flights::Flight,
    outcome::Outcome,
    pool::Pool,
};
use crate::LocateOptions;

/// Providers that can be told apart in a set of them.
pub(super) const MOST_MEMBERS: usize = Members::MOST;

/// The enquiries of one caller.
pub(super) struct Enquiries<'a> {
    pool: &'a Pool,
    options: LocateOptions,
    only: Option<usize>,
    deadline: Instant,
    open: Vec<Open>,
    /// Those that wait to be asked about, by whom they were asked of already.
    queues: BTreeMap<Members, VecDeque<usize>>,
    calls: FuturesUnordered<BoxFuture<'a, CallEnd>>,
    /// Whom the calls under way ask, and of whom their addresses were asked before.
    under_way: Vec<(usize, Members)>,
    notes: FuturesUnordered<BoxFuture<'a, ()>>,
    done: Vec<(usize, Outcome)>,
    ledger_failure: Option<String>,
}

/// One address.
struct Open {
    index: usize,
    address: Address,
    /// Told of the outcome; taken then.
    flight: Option<Flight>,
    outcome: Outcome,
    asked: Members,
    /// Who failed in a way that may pass.
    faltered: Members,
    retried: Members,
}

impl<'a> Enquiries<'a> {
    pub(super) fn new(
        pool: &'a Pool,
        options: LocateOptions,
        only: Option<usize>,
        deadline: Instant,
    ) -> Self {
        Self {
            pool,
            options,
            only,
            deadline,
            open: Vec::new(),
            queues: BTreeMap::new(),
            calls: FuturesUnordered::new(),
            under_way: Vec::new(),
            notes: FuturesUnordered::new(),
            done: Vec::new(),
            ledger_failure: None,
        }
    }

    /// The outcome of each enquiry, by its index; in no order.
    pub(super) async fn run(mut self, enquiries: Vec<(usize, Address, Flight)>) -> Vec<(usize, Outcome)> {
        self.begin(enquiries).await;
        let mut worker = None;
        loop {
            let (wake, wants_worker) = match self.call_whom_we_can(worker.take()) {
                Step::Wait(wake) => (wake.filter(|wake| *wake <= self.deadline), false),
                Step::Worker | Step::Call { .. } => (None, true),
            };
            if self.queues.is_empty() && self.calls.is_empty() {
                break;
            }
            if self.calls.is_empty() && !wants_worker {
                // What is being noted may let us in sooner.
                if self.notes.next().await.is_some() {
                    continue;
                }
                self.defer_who_waits_too_long();
                if wake.is_none() {
                    continue;
                }
            }
            select! {
                Some(end) = self.calls.next(), if !self.calls.is_empty() => self.take_in(end),
                Some(()) = self.notes.next(), if !self.notes.is_empty() => {}
                free = self.pool.worker(), if wants_worker => worker = free,
                () = sleep_until(wake.unwrap_or(self.deadline)), if wake.is_some() => {}
            }
        }
        // Nobody who waits for an address waits for this: they were told.
        while self.notes.next().await.is_some() {}
        self.done
    }

    /// Begins calls until there is a reason to wait, which is never [`Step::Call`].
    fn call_whom_we_can(&mut self, mut worker: Option<SemaphorePermit<'a>>) -> Step {
        loop {
            match self.next_step() {
                Step::Call { member, lane, about } => {
                    let Some(free) = worker.take().or_else(|| self.pool.try_worker()) else {
                        self.put_back(about);
                        return Step::Worker;
                    };
                    self.call(member, lane, about, free);
                }
                wait => return wait,
            }
        }
    }

    async fn begin(&mut self, enquiries: Vec<(usize, Address, Flight)>) {
        let pool = self.pool;
        if !self.options.force {
            let addresses: Vec<Address> = enquiries.iter().map(|(_, address, _)| *address).collect();
            pool.recall(&addresses).await;
        }
        let now = Instant::now();
        for (index, address, flight) in enquiries {
            let mut open = Open {
                index,
                address,
                flight: Some(flight),
                outcome: Outcome::default(),
                asked: Members::default(),
                faltered: Members::default(),
                retried: Members::default(),
            };
            for (position, member) in pool.members.iter().enumerate() {
                if self.options.force || self.only.is_some_and(|only| only != position) {
                    continue;
                }
                if let Some(answer) = pool.answers.get(address, member.name(), now) {
                    open.asked.insert(position);
                    open.outcome.note(member.name(), Ok(answer));
                }
            }
            self.open.push(open);
            self.place(self.open.len() - 1, &mut None);
        }
    }

    /// Puts an address where it belongs: among those to ask about, or among those that are done with.
    ///
    /// `retry` is whether the budget has room for one more call, once somebody had to know.
    fn place(&mut self, position: usize, retry: &mut Option<bool>) {
        let askable = self.askable();
        let open = &mut self.open[position];
        if open.outcome.is_settled() {
            self.conclude(position);
            return;
        }
        if askable.without(open.asked).is_empty() {
            let again = askable.intersection(open.faltered).without(open.retried);
            let now = Instant::now();
            let mut members = self.pool.members.iter().enumerate();
            // One of them, and once.
            let again = members
                .find(|(position, member)| {
                    again.contains(*position) && member.breaker.blocked_until(now).is_none()
                })
                .map(|(position, _)| position)
                .filter(|_| *retry.get_or_insert_with(|| self.pool.spend_retry()));
            let Some(again) = again else {
                self.conclude(position);
                return;
            };
            open.retried.insert(again);
            open.asked.remove(again);
        }
        let asked = open.asked;
        self.queues.entry(asked).or_default().push_back(position);
    }

    fn conclude(&mut self, position: usize) {
        let askable = self.askable();
        let open = &mut self.open[position];
        let Some(flight) = open.flight.take() else { return };
        let mut outcome = std::mem::take(&mut open.outcome);
        if askable.is_empty() && outcome.failure.is_none() {
            for member in &self.pool.members {
                if let Some(why) = member.disabled() {
                    outcome.fail(member.name(), UnlocatedReason::Rejected, why.to_owned());
                }
            }
        }
        flight.land(outcome.clone());
        self.done.push((open.index, outcome));
    }

    fn put_back(&mut self, about: Vec<usize>) {
        for position in about.into_iter().rev() {
            self.queues.entry(self.open[position].asked).or_default().push_front(position);
        }
    }

    fn call(&mut self, member: usize, lane: usize, about: Vec<usize>, worker: SemaphorePermit<'a>) {
        let pool = self.pool;
        let Some(leave) = pool.members[member].breaker.leave(Instant::now()) else {
            self.put_back(about);
            return;
        };
        let others =
            about.iter().fold(Members::ALL, |asked, position| asked.intersection(self.open[*position].asked));
        self.under_way.push((member, others));
        let about = about.into_iter().map(|position| (position, self.open[position].address)).collect();
        let wish = Wish { member, lane, about, leave };
        let call = async move {
            let _worker = worker;
            call::make(&*pool.ledger, &pool.members[member], wish).await
        };
        self.calls.push(call.boxed());
    }

    fn take_in(&mut self, end: CallEnd) {
        let CallEnd { member, asked, unasked, result } = end;
        if let Some(call) = self.under_way.iter().position(|(asks, _)| *asks == member) {
            self.under_way.swap_remove(call);
        }
        self.put_back(unasked);
        let provider = self.pool.members[member].name();
        match result {
            CallResult::Waits => {}
            CallResult::NoLedger(error) => {
                warn!(error = &error as &dyn std::error::Error, "No provider is called: {error}");
                self.ledger_failure = Some(error.to_string());
            }
            CallResult::Answers(answers, note) => {
                self.note(note);
                let (now, mut retry) = (Instant::now(), None);
                for (position, answer) in asked.into_iter().zip(answers) {
                    let open = &mut self.open[position];
                    open.asked.insert(member);
                    self.pool.promises.kept(open.address);
                    if let Ok(answer) = &answer {
                        self.pool.answers.keep(open.address, provider, answer.clone(), Duration::ZERO, now);
                    }
                    open.outcome.note(provider, answer);
                    self.place(position, &mut retry);
                }
            }
            CallResult::Refused(refusal, note) => {
                self.note(note);
                self.refused(member, asked, &refusal);
            }
        }
    }

    fn refused(&mut self, member: usize, asked: Vec<usize>, refusal: &Refusal) {
        let provider = self.pool.members[member].name();
        let mut retry = None;
        for position in asked {
            let open = &mut self.open[position];
            match refusal {
                // Nothing is said of the address, and the lane is closed.
                Refusal::RateLimited => {}
                Refusal::Unavailable(_) | Refusal::Unreached(_) => {
                    open.faltered.insert(member);
                    open.asked.insert(member);
                    open.outcome.fail(provider, refusal.reason(), refusal.to_string());
                }
                Refusal::Rejected(_) | Refusal::Malformed(_) => {
                    open.asked.insert(member);
                    open.outcome.fail(provider, refusal.reason(), refusal.to_string());
                }
            }
            self.place(position, &mut retry);
        }
        if matches!(refusal, Refusal::Rejected(_)) {
            // Those that waited for it alone are done with.
            let waiting: Vec<usize> = std::mem::take(&mut self.queues).into_values().flatten().collect();
            for position in waiting {
                self.place(position, &mut retry);
            }
        }
    }

    fn note(&mut self, note: Box<Note>) {
        self.pool.count_call();
        self.notes.push(note.write(&*self.pool.ledger).boxed());
    }
}
