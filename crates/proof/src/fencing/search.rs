//! Visits every state of a model that can be reached, breadth first, so that the first broken law has a shortest way.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use hostatlas_domain::JobState;

use super::{
    laws,
    model::{Action, Model, ROWS_OF_KEY, Row, SLOTS, State, Ticket},
};

/// How a law was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The law.
    pub law: &'static str,
    /// The shortest way to it, from the empty queue.
    pub steps: Vec<Action>,
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} after {} steps:", self.law, self.steps.len())?;
        self.steps.iter().try_for_each(|step| write!(formatter, " {step:?};"))
    }
}

/// What a search saw.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Distinct states.
    pub states: usize,
    /// Operations that were tried in them.
    pub steps: u64,
    /// Whether all that can be reached was visited.
    pub complete: bool,
    /// The first law that was broken.
    pub counterexample: Option<Counterexample>,
}

/// A packed state: 64 bits for each of two rows. A model that is searched has no more.
type Packed = u128;

/// Mixes a packed state. They are all distinct and nobody chooses them, so no better hash is needed.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let mixed = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.0 = mixed ^ (mixed >> 29);
        }
    }
}

/// A visited state and how it was first reached.
struct Visited {
    state: Packed,
    from: u32,
    by: Action,
}

/// Searches until all is visited, a law is broken, or there are `most` states.
pub fn search(model: &Model, most: usize) -> Searched {
    let mut seen = HashSet::<Packed, BuildHasherDefault<Mix>>::default();
    let mut visited = vec![Visited { state: pack(model, &State::default()), from: 0, by: Action::Pass }];
    seen.insert(visited[0].state);
    let mut queue = VecDeque::from([0_u32]);
    let (mut steps, mut found) = (0, None);
    while let Some(at) = queue.pop_front() {
        let before = unpack(model, visited[at as usize].state);
        model.actions(&before, |action| {
            if found.is_some() {
                return;
            }
            let Some(outcome) = model.step(&before, action) else { return };
            steps += 1;
            if let Some(law) = laws::broken(&model.bounds, &before, action, &outcome) {
                found = Some(Counterexample { law, steps: way(&visited, at, action) });
                return;
            }
            let packed = pack(model, &outcome.state);
            if seen.insert(packed) {
                queue.push_back(u32::try_from(visited.len()).unwrap_or(u32::MAX));
                visited.push(Visited { state: packed, from: at, by: action });
            }
        });
        if found.is_some() || visited.len() >= most {
            break;
        }
    }
    let complete = queue.is_empty() && found.is_none();
    Searched { states: visited.len(), steps, complete, counterexample: found }
}

fn way(visited: &[Visited], mut at: u32, last: Action) -> Vec<Action> {
    let mut steps = vec![last];
    while at != 0 {
        steps.push(visited[at as usize].by);
        at = visited[at as usize].from;
    }
    steps.reverse();
    steps
}

/// The rows that a model can have, in order.
fn slots(model: &Model) -> impl Iterator<Item = usize> + '_ {
    (0..SLOTS).filter(|slot| slot % ROWS_OF_KEY < usize::from(model.bounds.rows[slot / ROWS_OF_KEY])).take(2)
}

fn pack(model: &Model, state: &State) -> Packed {
    slots(model).fold(0, |packed, slot| (packed << 64) | Packed::from(pack_row(state.rows[slot].as_ref())))
}

fn unpack(model: &Model, packed: Packed) -> State {
    let mut state = State::default();
    let slots: Vec<usize> = slots(model).collect();
    for (shift, slot) in slots.into_iter().rev().enumerate() {
        state.rows[slot] =
            unpack_row(u64::try_from((packed >> (64 * shift)) & u128::from(u64::MAX)).unwrap_or(0));
    }
    state
}

/// How wide each field is; together at most 64 bits.
const WIDTHS: [u32; 17] = [3, 3, 2, 2, 1, 2, 2, 3, 8, 3, 3, 3, 3, 3, 3, 3, 3];

fn pack_row(row: Option<&Row>) -> u64 {
    let Some(row) = row else { return 0 };
    let [one, other] = row.tickets;
    let [seen_by_one, seen_by_other] = row.peeks;
    let fields = [
        u64::from(row.state.number()),
        row.token.into(),
        row.attempt.into(),
        row.crashes.into(),
        row.rerun.into(),
        row.timer.into(),
        row.owner.into(),
        row.serial.into(),
        row.applied,
        one.token.into(),
        one.serial.into(),
        other.token.into(),
        other.serial.into(),
        seen_by_one.token.into(),
        seen_by_one.serial.into(),
        seen_by_other.token.into(),
        seen_by_other.serial.into(),
    ];
    debug_assert!(fields.iter().zip(WIDTHS).all(|(field, width)| *field < 1 << width), "{row:?} is too wide");
    let packed = fields.iter().zip(WIDTHS).fold(0, |packed, (field, width)| (packed << width) | field);
    // A row is never 0, which stands for none.
    (packed << 1) | 1
}

fn unpack_row(packed: u64) -> Option<Row> {
    if packed == 0 {
        return None;
    }
    let (mut rest, mut fields) = (packed >> 1, [0_u8; WIDTHS.len()]);
    for (field, width) in fields.iter_mut().zip(WIDTHS).rev() {
        *field = u8::try_from(rest & ((1 << width) - 1)).unwrap_or(0);
        rest >>= width;
    }
    let [state, token, attempt, crashes, rerun, timer, owner, serial, applied, tickets @ ..] = fields;
    let [one, other, seen_by_one, seen_by_other] =
        [0, 2, 4, 6].map(|at| Ticket { token: tickets[at], serial: tickets[at + 1] });
    Some(Row {
        state: JobState::from_number(state)?,
        token,
        attempt,
        crashes,
        rerun: rerun != 0,
        timer,
        owner,
        serial,
        applied: applied.into(),
        tickets: [one, other],
        peeks: [seen_by_one, seen_by_other],
    })
}
