//! One call: a permit, the request, what its answer means, and the note of it.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, Closed, Observation, ProviderTally, WaitReason};
use tokio::time::Instant;
use tracing::warn;

use super::{
    HttpResponse, Ledger, LedgerError, NewAnswer, Permit, Refusal, Reply, SettleCall, TakeCall, Taken,
    breaker::Leave,
    cache::status_of,
    member::{self, Member},
};
use crate::{Answer, LookupError};

/// How a call ended, for the addresses at `asked` (and not for those at `unasked`, which had no permit).
pub(super) struct CallEnd {
    pub(super) member: usize,
    pub(super) asked: Vec<usize>,
    pub(super) unasked: Vec<usize>,
    pub(super) result: CallResult,
}

pub(super) enum CallResult {
    /// One answer for each of `asked`.
    Answers(Vec<Result<Answer, LookupError>>, Box<Note>),
    /// None for any.
    Refused(Refusal, Box<Note>),
    /// The ledger gave no permit; why is remembered with the lane.
    Waits,
    /// The ledger failed.
    NoLedger(LedgerError),
}

/// What is to be written of a call. Nobody waits for it before answering.
pub(super) struct Note {
    settle: SettleCall,
    keep: Vec<NewAnswer>,
    arrived: Instant,
}

/// What a call is made with.
pub(super) struct Wish {
    pub(super) member: usize,
    pub(super) lane: usize,
    /// Positions and addresses.
    pub(super) about: Vec<(usize, Address)>,
    pub(super) leave: Leave,
}

/// Makes the call. Dropped at any point, it leaves its permits counted and nothing else behind.
pub(super) async fn make(ledger: &dyn Ledger, member: &Member, wish: Wish) -> CallEnd {
    let Wish { member: position, lane, mut about, leave } = wish;
    let end = |about: Vec<(usize, Address)>, unasked: Vec<(usize, Address)>, result| CallEnd {
        member: position,
        asked: about.into_iter().map(|(index, _)| index).collect(),
        unasked: unasked.into_iter().map(|(index, _)| index).collect(),
        result,
    };
    let permit = match take(ledger, member, lane, about.len()).await {
        Ok(Some(permit)) => permit,
        Ok(None) => return end(Vec::new(), about, CallResult::Waits),
        Err(error) => return end(Vec::new(), about, CallResult::NoLedger(error)),
    };
    let granted = usize::try_from(permit.addresses).unwrap_or(usize::MAX).clamp(1, about.len());
    let unasked = about.split_off(granted);
    let addresses: Vec<Address> = about.iter().map(|(_, address)| *address).collect();
    let began = Instant::now();
    let response = member.transport.send(member.provider.request(lane, &addresses)).await;
    let arrived = Instant::now();
    let unsent = matches!(response, Err(Refusal::Unreached(_)));
    // A call that was sent and not answered may still arrive, so its permits stay as they are.
    let windows = if response.is_ok() || unsent { permit.windows } else { Vec::new() };
    let Reply { answers, observation } = read(member, lane, &addresses, response);
    leave.end(is_usable(&answers), arrived);
    if let Some(wait) = observation.closed_for() {
        // At once, and not only once it is written: the next call may be decided meanwhile.
        member.lanes[lane].close(member.name(), wait, WaitReason::Closed, "", arrived);
    }
    if let Err(Refusal::Rejected(why)) = &answers
        && member.disable(why.clone())
    {
        warn!(provider.name = %member.name(), "Provider `{}` is not asked any more: {why}", member.name());
    }
    let settle = SettleCall {
        provider: member.name(),
        account: member.provider.account(),
        limits: Arc::clone(&member.lanes[lane].limits),
        windows,
        unsent,
        age: Duration::ZERO,
        observation,
        tally: tally(&addresses, &answers, arrived - began),
        error: failure(&answers),
        breaker: member.breaker.state(arrived),
        disabled_because: match &answers {
            Err(Refusal::Rejected(why)) => Some(why.clone()),
            _ => None,
        },
    };
    let note = Box::new(Note { settle, keep: to_keep(member, &addresses, &answers), arrived });
    let result = match answers {
        Ok(answers) => CallResult::Answers(answers, note),
        Err(refusal) => CallResult::Refused(refusal, note),
    };
    end(about, unasked, result)
}

/// What a provider said of each address, or why of none.
type Answers = Result<Vec<Result<Answer, LookupError>>, Refusal>;

fn read(
    member: &Member,
    lane: usize,
    addresses: &[Address],
    response: Result<HttpResponse, Refusal>,
) -> Reply {
    let mut reply = match response {
        Ok(response) => member.provider.parse(lane, addresses, &response),
        Err(refusal) => Reply { answers: Err(refusal), observation: Observation::default() },
    };
    if reply.answers.as_ref().is_ok_and(|answers| answers.len() != addresses.len()) {
        reply.answers = Err(Refusal::Malformed("it did not answer for each address".to_owned()));
    }
    if reply.answers == Err(Refusal::RateLimited) && reply.observation.closed.is_none() {
        reply.observation.closed = Some(Closed::Unsaid);
    }
    reply
}

/// Whether the provider is well: being refused for want of quota says nothing else.
fn is_usable(answers: &Answers) -> bool {
    match answers {
        Ok(answers) => answers.iter().any(Result::is_ok),
        Err(Refusal::RateLimited) => true,
        Err(_) => false,
    }
}

fn failure(answers: &Answers) -> Option<String> {
    match answers {
        Err(refusal) => Some(refusal.to_string()),
        Ok(said) if is_usable(answers) || said.is_empty() => None,
        Ok(said) => said.iter().find_map(|answer| answer.as_ref().err()).map(ToString::to_string),
    }
}

fn tally(addresses: &[Address], answers: &Answers, took: Duration) -> ProviderTally {
    let counted = |counts: fn(&Answer) -> bool| {
        let said = answers.iter().flatten().flatten();
        said.filter(|answer| counts(answer)).count() as u64
    };
    let mut tally = ProviderTally {
        calls: 1,
        failed_calls: u64::from(answers.is_err() || !is_usable(answers)),
        addresses: if matches!(answers, Err(Refusal::Unreached(_))) { 0 } else { addresses.len() as u64 },
        located: counted(|answer| matches!(answer, Answer::Found(_))),
        missed: counted(|answer| matches!(answer, Answer::Miss(_))),
        ..ProviderTally::default()
    };
    tally.latencies.record(took);
    tally
}

fn to_keep(member: &Member, addresses: &[Address], answers: &Answers) -> Vec<NewAnswer> {
    let said = addresses.iter().zip(answers.iter().flatten());
    said.filter_map(|(address, answer)| {
        let status = status_of(answer.as_ref().ok()?);
        Some(NewAnswer { address: *address, provider: member.name(), status })
    })
    .collect()
}

/// The permit of a call about `wanted` addresses; `None` where it has to wait, which the lane remembers.
async fn take(
    ledger: &dyn Ledger,
    member: &Member,
    lane_index: usize,
    wanted: usize,
) -> Result<Option<Permit>, LedgerError> {
    let lane = &member.lanes[lane_index];
    let addresses = u32::try_from(wanted).unwrap_or(u32::MAX);
    if lane.limits.is_empty() {
        return Ok(Some(Permit { addresses, windows: Vec::new(), left: u32::MAX }));
    }
    let wish = TakeCall {
        provider: member.name(),
        account: member.provider.account(),
        limits: Arc::clone(&lane.limits),
        addresses,
    };
    let began = Instant::now();
    match ledger.take(wish).await? {
        Taken::Granted(permit) => {
            lane.set_left(permit.left);
            if let Some(spaced) = lane.limits.iter().max_by_key(|limit| limit.spacing)
                && !spaced.spacing.is_zero()
            {
                // The ledger would only say the same.
                lane.close(member.name(), spaced.spacing, WaitReason::Spacing, &spaced.name, began);
            }
            // Who asked to be left alone meanwhile is: the permit is lost, the contract kept.
            Ok(Some(permit).filter(|_| {
                lane.closed(Instant::now()).is_none_or(|closure| closure.reason != member::Closed::ByProvider)
            }))
        }
        Taken::Wait { wait, reason, limit } => {
            lane.close(member.name(), wait, reason, &limit, Instant::now());
            Ok(None)
        }
    }
}

impl Note {
    /// Writes it down.
    pub(super) async fn write(self, ledger: &dyn Ledger) {
        let Self { mut settle, keep, arrived } = self;
        settle.age = arrived.elapsed();
        let provider = settle.provider;
        if let Err(error) = ledger.settle(settle).await {
            warn!(provider.name = %provider, error = &error as &dyn std::error::Error, "A call to `{provider}` could not be noted: {error}");
        }
        if keep.is_empty() {
            return;
        }
        if let Err(error) = ledger.keep(keep).await {
            warn!(provider.name = %provider, error = &error as &dyn std::error::Error, "Answers of `{provider}` could not be kept: {error}");
        }
    }
}
