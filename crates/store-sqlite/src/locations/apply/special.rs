//! Hosts that are not where providers say: a person pinned them, or a site places their special address.

use hostatlas_domain::{LocationState, ProviderName};
use hostatlas_store::{
    Attempt, StoreError,
    backend::{SpecialHost, SpecialOutcome},
};
use sqlx::SqliteConnection;

use super::{Answer, Batch, Before, Rule, Write};
use crate::counters::hour_of;

impl Batch {
    /// A host that is pinned, or whose address is special.
    pub(super) fn decide_special(
        &mut self,
        write: &Write,
        before: &Before,
        answer: Option<Answer>,
        recent: bool,
    ) {
        let host = SpecialHost {
            is_public: before.class.is_public(),
            is_pinned: before.is_pinned,
            is_sited: before.location.is_some_and(|location| location.provider == ProviderName::Site),
        };
        match host.outcome(&write.attempt, answer, write.rule == Rule::Any) {
            SpecialOutcome::Locate(answer) => self.locate(write.host, Some(before), answer, recent),
            SpecialOutcome::Confirm => self.confirm(before, &write.attempt),
            SpecialOutcome::Unsite => self.unsite(write.host, before),
            SpecialOutcome::Ignore => self.applied.summary.ignored += 1,
        }
    }

    /// Notes an attempt about a pinned host, which changes nothing but its times.
    fn confirm(&mut self, before: &Before, attempt: &Attempt) {
        self.applied.summary.pinned += 1;
        match (attempt, before.location) {
            (Attempt::Located(_), Some(location)) => {
                if before.class.is_public() {
                    let coverage = &mut self.applied.coverage;
                    coverage.located_hour(hour_of(location.located_at), -1);
                    coverage.located_hour(hour_of(self.attempted_at), 1);
                }
                self.confirmed.push(before.host);
            }
            _ => self.touched.push(before.host),
        }
    }

    fn unsite(&mut self, host: i64, before: &Before) {
        self.leave(host, Some(before), None);
        self.applied.coverage.state(LocationState::NotApplicable, 1);
        self.applied.coverage.class(before.class, 1);
        self.applied.summary.unsited += 1;
        self.unsited.push(host);
    }

    pub(super) async fn write_special(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let confirm = "UPDATE host SET attempted_at = ?2, located_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))";
        self.write_hosts(connection, confirm, &self.confirmed).await?;
        let unsite = "UPDATE host SET location_state = 3, place = NULL, network = NULL, provider = NULL, \
                      accuracy_km = NULL, database_build = NULL, located_at = NULL, attempted_at = ?2, pinned = 0 \
                      WHERE id IN (SELECT value FROM json_each(?1))";
        self.write_hosts(connection, unsite, &self.unsited).await
    }
}
