//! What providers answered to a form, until the page that the form leads to has shown it.
//!
//! A test stores nothing, and asking again for the page would spend the quota again; so the answers wait here, in this
//! process, under a number that cannot be guessed.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hostatlas_domain::{HostAnswers, LookupStatus, LookupView};

/// Answers to so many forms are kept: a page is asked for at once after its form.
const KEPT: usize = 64;

/// What one provider answered.
#[derive(Clone, Debug)]
pub struct Told {
    /// The answer.
    pub answer: LookupView,
    /// How long it took; `None` where that was not measured.
    pub took: Option<Duration>,
}

static LATEST: Mutex<VecDeque<(u64, Vec<Told>)>> = Mutex::new(VecDeque::new());

/// Keeps answers, and says under which number.
pub fn keep(said: Vec<Told>) -> u64 {
    let number = RandomState::new().hash_one(said.len());
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.truncate(KEPT - 1);
    latest.push_front((number, said));
    number
}

/// The answers under a number; none where it is no number, or they are gone.
pub fn get(number: &str) -> Option<Vec<Told>> {
    let number: u64 = number.parse().ok()?;
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.iter().find(|(kept, _)| *kept == number).map(|(_, said)| said.clone())
}

/// Those of a host's answers that are stored nowhere: who could not be asked, or did not answer.
pub fn silent(answers: &HostAnswers) -> Vec<Told> {
    let silent = answers
        .answers
        .iter()
        .filter(|one| matches!(one.answer.status, LookupStatus::Failed | LookupStatus::Deferred));
    silent.map(|one| Told { answer: one.answer.clone(), took: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_under_their_number_until_newer_ones_push_them_out() {
        let first = keep(Vec::new()).to_string();
        assert!(get(&first).is_some_and(|said| said.is_empty()));
        assert!(get("no number").is_none());
        for _ in 0..KEPT {
            keep(Vec::new());
        }
        assert!(get(&first).is_none());
    }
}
