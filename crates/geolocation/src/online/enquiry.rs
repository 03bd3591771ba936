//! Asks the providers about the addresses of one caller: whom next, in which calls, until when.

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

use super::{
    Refusal,
    call::{self, CallEnd, CallResult, Note, Wish},
    flights::Flight,
    member::Closure,
    outcome::Outcome,
    pool::Pool,
};
use crate::LocateOptions;

/// Providers that can be told apart in a set of them.
pub(super) const MOST_MEMBERS: usize = 64;
/// After how long a ledger that failed is asked again.
const LEDGER_RETRY: Duration = Duration::from_secs(30);
/// Whoever answered is believed when another opinion would take longer than this.
const SECOND_OPINION: Duration = Duration::from_hours(1);

/// A set of providers by their positions.
type Members = u64;

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

/// What to do next.
enum Step {
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
                asked: 0,
                faltered: 0,
                retried: 0,
            };
            for (position, member) in pool.members.iter().enumerate() {
                if self.options.force || self.only.is_some_and(|only| only != position) {
                    continue;
                }
                if let Some(answer) = pool.answers.get(address, member.name(), now) {
                    open.asked |= 1 << position;
                    open.outcome.note(member.name(), Ok(answer));
                }
            }
            self.open.push(open);
            self.place(self.open.len() - 1, &mut None);
        }
    }

    /// Everybody who may be asked at all.
    fn askable(&self) -> Members {
        let members = self.pool.members.iter().enumerate();
        members
            .filter(|(position, member)| {
                member.disabled().is_none() && self.only.is_none_or(|only| only == *position)
            })
            .fold(0, |all, (position, _)| all | 1 << position)
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
        if askable & !open.asked == 0 {
            let mut again = askable & open.faltered & !open.retried;
            for (position, member) in self.pool.members.iter().enumerate() {
                if again & (1 << position) != 0 && member.breaker.blocked_until(Instant::now()).is_some() {
                    again &= !(1 << position);
                }
            }
            // One of them, and once.
            let again = again & again.wrapping_neg();
            if again == 0 || !*retry.get_or_insert_with(|| self.pool.spend_retry()) {
                self.conclude(position);
                return;
            }
            open.retried |= again;
            open.asked &= !again;
        }
        let asked = open.asked;
        self.queues.entry(asked).or_default().push_back(position);
    }

    fn conclude(&mut self, position: usize) {
        let askable = self.askable();
        let open = &mut self.open[position];
        let Some(flight) = open.flight.take() else { return };
        let mut outcome = std::mem::take(&mut open.outcome);
        if askable == 0 && outcome.failure.is_none() {
            for member in &self.pool.members {
                if let Some(why) = member.disabled() {
                    outcome.fail(member.name(), UnlocatedReason::Rejected, why.to_owned());
                }
            }
        }
        flight.land(outcome.clone());
        self.done.push((open.index, outcome));
    }

    fn next_step(&mut self) -> Step {
        if self.ledger_failure.is_some() {
            return Step::Wait(None);
        }
        let now = Instant::now();
        let mut wake: Option<Instant> = None;
        let mut lanes: Vec<(usize, usize, usize)> = Vec::new();
        let mut candidates: Vec<(usize, u32)> = Vec::new();
        let mut finer_in_time = false;
        let members = self.pool.members.iter().enumerate();
        let (coarse, fine): (Vec<_>, Vec<_>) = members.partition(|(_, member)| member.is_coarse());
        for (position, member) in fine.into_iter().chain(coarse) {
            let waiting = self.waiting_for(position);
            if waiting == 0 || (member.is_coarse() && finer_in_time) {
                continue;
            }
            let ready = member.ready_lane(waiting, now);
            finer_in_time |= !member.is_coarse()
                && ready.as_ref().map_or_else(
                    |closures| closures.iter().any(|closure| closure.until <= self.deadline),
                    |_| true,
                );
            match ready {
                Err(closures) => {
                    let soonest = closures.iter().map(|closure| closure.until).min();
                    wake = [wake, soonest].into_iter().flatten().min();
                }
                Ok(lane) => {
                    let most = self.batch(position, lane);
                    // Others may bring what fills the batch.
                    let fills = waiting < most
                        && self
                            .under_way
                            .iter()
                            .any(|(asks, asked)| *asks != position && asked & (1 << position) == 0);
                    if !fills {
                        lanes.push((position, lane, most));
                        candidates.push((position, member.left(now)));
                    }
                }
            }
        }
        let next = self.pool.rotate(&candidates);
        match lanes.into_iter().find(|(position, ..)| Some(*position) == next) {
            Some((member, lane, most)) => Step::Call { member, lane, about: self.pull(member, most) },
            None => Step::Wait(wake),
        }
    }

    fn batch(&self, member: usize, lane: usize) -> usize {
        let most = self.pool.members[member].lanes[lane].batch;
        self.options.batch_size.map_or(most, |size| most.min(size.get()))
    }

    /// How many addresses may be asked of a provider.
    fn waiting_for(&self, member: usize) -> usize {
        if self.askable() & (1 << member) == 0 {
            return 0;
        }
        let queues = self.queues.iter().filter(|(asked, _)| **asked & (1 << member) == 0);
        queues.map(|(_, queue)| queue.len()).sum()
    }

    /// Takes up to `most` addresses to ask a provider about; first those that others could not tell.
    fn pull(&mut self, member: usize, most: usize) -> Vec<usize> {
        let mut pulled = Vec::with_capacity(most.min(1_024));
        for (_, queue) in self.queues.iter_mut().rev().filter(|(asked, _)| **asked & (1 << member) == 0) {
            let count = queue.len().min(most - pulled.len());
            pulled.extend(queue.drain(..count));
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        pulled
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
        let others = about.iter().fold(Members::MAX, |asked, position| asked & self.open[*position].asked);
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
                    open.asked |= 1 << member;
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
                Refusal::Unavailable(_) => {
                    open.faltered |= 1 << member;
                    open.asked |= 1 << member;
                    open.outcome.fail(provider, refusal.reason(), refusal.to_string());
                }
                Refusal::Rejected(_) | Refusal::Malformed(_) => {
                    open.asked |= 1 << member;
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

    /// Concludes what nobody can be asked about before the deadline.
    fn defer_who_waits_too_long(&mut self) {
        let now = Instant::now();
        let askable = self.askable();
        for (asked, queue) in std::mem::take(&mut self.queues) {
            if askable & !asked == 0 {
                for position in queue {
                    self.place(position, &mut Some(false));
                }
                continue;
            }
            let closures = self.closures(askable & !asked, queue.len(), now);
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
            self.pool.members.iter().enumerate().filter(|(position, _)| members & (1 << *position) != 0);
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
