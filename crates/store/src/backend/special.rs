use hostatlas_domain::ProviderName;

use super::Answer;
use crate::Attempt;

/// A host that is pinned, or whose address is special.
#[derive(Clone, Copy, Debug)]
pub struct SpecialHost {
    /// Whether its address is public.
    pub is_public: bool,
    /// Whether a person holds it where it stands.
    pub is_pinned: bool,
    /// Whether a site has placed it.
    pub is_sited: bool,
}

/// What an attempt does to such a host.
#[derive(Clone, Copy, Debug)]
pub enum SpecialOutcome {
    /// It stands there now.
    Locate(Answer),
    /// It stays where it is, and the attempt is noted.
    Confirm,
    /// It has no place any more.
    Unsite,
    /// Nothing.
    Ignore,
}

impl SpecialHost {
    /// What an attempt, whose rows are `answer`, does to it; `by_hand` if a person wants it so.
    #[must_use]
    pub fn outcome(self, attempt: &Attempt, answer: Option<Answer>, by_hand: bool) -> SpecialOutcome {
        match (attempt, answer) {
            (Attempt::NotApplicable, _)
                if !self.is_public && (by_hand && self.is_pinned || self.is_sited) =>
            {
                SpecialOutcome::Unsite
            }
            (Attempt::NotApplicable, _) => SpecialOutcome::Ignore,
            _ if self.is_pinned && !by_hand => SpecialOutcome::Confirm,
            (Attempt::Located(_), Some(answer)) if by_hand || answer.provider == ProviderName::Site => {
                SpecialOutcome::Locate(answer)
            }
            _ => SpecialOutcome::Ignore,
        }
    }
}
