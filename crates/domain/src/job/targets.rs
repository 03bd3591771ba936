use super::{JobFilter, JobId};

/// Which jobs a bulk action changes. It is never wider than what was said: a filter without a condition is refused, and
/// all jobs are meant by [`JobTargets::All`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobTargets {
    /// These; at least one.
    Ids(Vec<JobId>),
    /// All that match, however many.
    Matching(JobConditions),
    /// Every job.
    All,
}

/// A filter with at least one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobConditions(JobFilter);

/// Why it is not clear which jobs are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJobTargets {
    /// Nothing names any.
    #[error("no jobs are named")]
    Nothing,
    /// The list of numbers is empty.
    #[error("the list of job ids is empty")]
    NoIds,
    /// The filter has no condition, so it would match every job.
    #[error("the filter has no condition, so it would match every job")]
    NoCondition,
    /// Two of numbers, filter and "all" are given.
    #[error("jobs are named in two ways at once")]
    Twice,
}

impl JobTargets {
    /// The jobs that exactly one of numbers, a filter and "all" names.
    pub fn named(
        ids: Option<Vec<JobId>>,
        filter: Option<JobFilter>,
        all: bool,
    ) -> Result<Self, InvalidJobTargets> {
        match (ids, filter, all) {
            (None, None, false) => Err(InvalidJobTargets::Nothing),
            (Some(ids), None, false) if ids.is_empty() => Err(InvalidJobTargets::NoIds),
            (Some(ids), None, false) => Ok(Self::Ids(ids)),
            (None, Some(filter), false) => JobConditions::try_from(filter).map(Self::Matching),
            (None, None, true) => Ok(Self::All),
            _ => Err(InvalidJobTargets::Twice),
        }
    }
}

impl TryFrom<JobFilter> for JobConditions {
    type Error = InvalidJobTargets;

    fn try_from(filter: JobFilter) -> Result<Self, Self::Error> {
        if filter == JobFilter::default() {
            return Err(InvalidJobTargets::NoCondition);
        }
        Ok(Self(filter))
    }
}

impl From<JobConditions> for JobFilter {
    fn from(conditions: JobConditions) -> Self {
        conditions.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobState;

    #[test]
    fn all_jobs_are_meant_only_by_name() {
        let empty = || Some(JobFilter::default());
        let running = JobFilter { state: Some(JobState::Running), ..JobFilter::default() };
        let ids = vec![JobId(7)];

        assert_eq!(
            [
                JobTargets::named(None, None, false),
                JobTargets::named(Some(Vec::new()), None, false),
                JobTargets::named(None, empty(), false),
                JobTargets::named(None, empty(), true),
                JobTargets::named(Some(ids.clone()), None, true),
                JobTargets::named(Some(ids.clone()), empty(), false),
                JobTargets::named(None, None, true),
                JobTargets::named(Some(ids.clone()), None, false),
                JobTargets::named(None, Some(running.clone()), false),
            ],
            [
                Err(InvalidJobTargets::Nothing),
                Err(InvalidJobTargets::NoIds),
                Err(InvalidJobTargets::NoCondition),
                Err(InvalidJobTargets::Twice),
                Err(InvalidJobTargets::Twice),
                Err(InvalidJobTargets::Twice),
                Ok(JobTargets::All),
                Ok(JobTargets::Ids(ids)),
                Ok(JobTargets::Matching(JobConditions(running))),
            ]
        );
    }
}
