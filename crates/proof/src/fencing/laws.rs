//! What must hold after every operation, whatever the queue is made of.
//!
//! The laws look at the jobs before and after, and never ask the model how it came to that.

use hostatlas_domain::JobState;

use super::model::{Action, Bounds, LEASE, Outcome, ROWS_OF_KEY, Row, State};

/// The law that an operation broke.
pub(super) fn broken(
    bounds: &Bounds,
    before: &State,
    action: Action,
    outcome: &Outcome,
) -> Option<&'static str> {
    let after = &outcome.state;
    lost(before, action, after)
        .or_else(|| of_keys(after))
        .or_else(|| effect(before, action, outcome))
        .or_else(|| answer(before, action, outcome))
        .or_else(|| request(before, action, after))
        .or_else(|| {
            let pairs = before.rows.iter().zip(&after.rows).enumerate();
            pairs.filter_map(|(slot, (old, new))| Some((slot, old.as_ref()?, new.as_ref()?))).find_map(
                |(slot, old, new)| {
                    // After pruning another row may stand there.
                    (action != Action::Prune).then(|| of_row(bounds, slot, old, action, new)).flatten()
                },
            )
        })
}

/// Rows vanish by pruning alone, and only once they are finished for long enough.
fn lost(before: &State, action: Action, after: &State) -> Option<&'static str> {
    let count = |state: &State| state.rows.iter().flatten().count();
    if action == Action::Prune {
        let kept: Vec<&Row> = before.rows.iter().flatten().filter(|row| !row.may_be_pruned()).collect();
        let is_kept = kept.len() == count(after) && after.rows.iter().flatten().eq(kept);
        return (!is_kept).then_some("a job was lost");
    }
    (count(after) < count(before)).then_some("a job was lost")
}

fn of_keys(after: &State) -> Option<&'static str> {
    let live = |rows: &[Option<Row>]| rows.iter().flatten().filter(|row| row.state.is_live()).count();
    after.rows.chunks(ROWS_OF_KEY).any(|rows| live(rows) > 1).then_some("a key has two live jobs")
}

/// An effect is applied at most once for each attempt, and only while its token is the live one: that of the claim that
/// runs, or that which a waiting job had when it was looked at.
fn effect(before: &State, action: Action, outcome: &Outcome) -> Option<&'static str> {
    let (slot, serial) = outcome.effect?;
    let row = before.rows[slot].as_ref()?;
    if row.applied & (1_u64 << (serial - 1)) != 0 {
        return Some("an effect was applied twice");
    }
    let live = match action {
        Action::FinishPeeked { .. } => row.state.is_waiting() && row.serial + 1 == serial,
        _ => row.state == JobState::Running && row.serial == serial,
    };
    (!live).then_some("an effect was applied under a token that is not the live one")
}

/// The queue says that it did something exactly when whoever asked still held the job.
fn answer(before: &State, action: Action, outcome: &Outcome) -> Option<&'static str> {
    let row = |slot: u8| before.rows[usize::from(slot)].as_ref();
    let holds = match action {
        Action::Finish { worker, slot, .. } | Action::Renew { worker, slot } => {
            row(slot)?.is_held_by(usize::from(worker))
        }
        Action::FinishPeeked { worker, slot, .. } => row(slot)?.is_as_seen_by(usize::from(worker)),
        _ => return None,
    };
    match (holds, outcome.accepted) {
        (true, false) => Some("whoever holds a job was told that it does not"),
        (false, true) => Some("whoever lost a job was told that it holds it"),
        _ => None,
    }
}

/// A request ends in a live job; a forced one that meets a running job is remembered.
fn request(before: &State, action: Action, after: &State) -> Option<&'static str> {
    let Action::Enqueue { key, force, .. } = action else { return None };
    let of_key = |state: &State| {
        let rows = &state.rows[usize::from(key) * ROWS_OF_KEY..][..ROWS_OF_KEY];
        rows.iter().flatten().find(|row| row.state.is_live()).copied()
    };
    let Some(live) = of_key(after) else { return Some("a request made no job") };
    let met_running = of_key(before).is_some_and(|row| row.state == JobState::Running);
    (force && met_running && !live.rerun).then_some("a forced request to a running job was forgotten")
}

fn of_row(bounds: &Bounds, slot: usize, old: &Row, action: Action, new: &Row) -> Option<&'static str> {
    let about = |of: u8| usize::from(of) == slot;
    let claimed = matches!(action, Action::Claim { slot, .. } if about(slot));
    let holder = match action {
        Action::Finish { worker, slot, .. }
        | Action::Release { worker, slot }
        | Action::Renew { worker, slot } => about(slot) && old.is_held_by(usize::from(worker)),
        _ => false,
    };
    let at_once = match action {
        Action::FinishPeeked { worker, slot, .. } => about(slot) && old.is_as_seen_by(usize::from(worker)),
        _ => false,
    };
    if new.token != old.token + u8::from(claimed || at_once) {
        return Some("a token grows by one when an attempt begins, and at nothing else");
    }
    if (new.state == JobState::Running) != (new.owner != 0) {
        return Some("a job runs exactly while somebody holds its lease");
    }
    if new.attempt > bounds.attempts {
        return Some("a job was attempted too often");
    }
    if new.timer > old.timer && old.state == JobState::Running && new.state == old.state && !holder {
        return Some("a lease was extended by somebody who does not hold it");
    }
    if new.timer > LEASE {
        return Some("a lease is too long");
    }
    if old.state == new.state {
        return None;
    }
    let cancelled = matches!(action, Action::Cancel { slot } if about(slot));
    moved(bounds, old, action, new, &By { claimed, holder, at_once, cancelled })
}

/// Who did it to a row.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own, and several may hold")]
struct By {
    /// A worker that takes it.
    claimed: bool,
    /// The worker that holds it.
    holder: bool,
    /// A worker that looked at it, and begins and ends an attempt at once.
    at_once: bool,
    /// A person who stops it.
    cancelled: bool,
}

fn moved(bounds: &Bounds, old: &Row, action: Action, new: &Row, by: &By) -> Option<&'static str> {
    use JobState::{Available, Cancelled, Completed, Discarded, Running};
    let By { claimed, holder, at_once, cancelled } = *by;
    // Who ends a job at once takes it through both moves.
    let through = at_once && old.state.may_become(Running) && Running.may_become(new.state);
    if !(old.state.may_become(new.state) || through) {
        return Some("a job moved as the table of states does not allow");
    }
    let rescued = action == Action::Rescue && old.state == Running;
    if rescued && old.timer > 0 {
        return Some("a job was taken from a worker whose lease holds");
    }
    if rescued && !old.rerun && new.crashes != old.crashes + 1 {
        return Some("a crash was not counted");
    }
    if !old.state.is_live() && !matches!(action, Action::Retry { .. }) {
        return Some("a finished job moved, and nobody asked for it again");
    }
    let allowed = match new.state {
        Running => claimed && old.is_due(),
        Completed => holder || at_once,
        Discarded => holder || at_once || rescued && new.crashes >= bounds.crashes,
        Cancelled => cancelled,
        _ if old.state == Running => holder || rescued,
        _ => true,
    };
    if !allowed {
        return Some("a job moved by somebody who may not move it");
    }
    let ended = holder && matches!(action, Action::Finish { .. });
    (old.rerun && (ended || rescued) && new.state != Available).then_some("a request to run again was lost")
}
