/// A set of the pool's providers, by their positions.
///
/// Sets are ordered as binary numbers are, so one that has the last providers comes after one that has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Members(u64);

impl Members {
    /// Positions that fit.
    pub(super) const MOST: usize = u64::BITS as usize;

    pub(super) const ALL: Self = Self(u64::MAX);

    pub(super) const fn contains(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn insert(&mut self, position: usize) {
        self.0 |= 1 << position;
    }

    pub(super) const fn remove(&mut self, position: usize) {
        self.0 &= !(1 << position);
    }

    /// Those in both.
    pub(super) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that `other` has not.
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<usize> for Members {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        let mut members = Self::default();
        for position in positions {
            members.insert(position);
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_not_taken_out() {
        let mut members: Members = [0, 5, 63].into_iter().collect();
        members.remove(5);
        members.insert(1);
        let found: Vec<usize> = (0..Members::MOST).filter(|position| members.contains(*position)).collect();
        assert_eq!(found, [0, 1, 63]);
        assert!(members.without(Members::ALL).is_empty());
        assert_eq!(members.intersection([1, 2].into_iter().collect()), [1].into_iter().collect());
    }

    #[test]
    fn whoever_was_asked_of_the_last_provider_comes_last() {
        let sets: [Members; 3] = [[0, 1], [0, 2], [0, 63]].map(|set| set.into_iter().collect());
        assert!(sets.is_sorted());
    }
}
