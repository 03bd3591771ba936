//! Housekeeping: adding up differences, and the list indexes.

mod fold;
mod indexes;

use std::{future::Future, pin::pin, time::Duration};

use hostatlas_store::StoreError;

pub(crate) use self::fold::fold_all;
use crate::database::Database;

/// How often differences are added up while an index is in the making.
const FOLD_EVERY: Duration = Duration::from_secs(1);

/// See [`hostatlas_store::AdminStore::tidy`]. Any number of processes may call it; those that come second do nothing.
pub(crate) async fn tidy(database: &Database) -> Result<bool, StoreError> {
    let is_more = fold::fold(database).await?;
    let statements = indexes::due(database).await?;
    if statements.is_empty() {
        return Ok(is_more);
    }
    Ok(while_folding(database, indexes::alone(database, &statements)).await? || is_more)
}

/// Adds up differences while an index is in the making: that takes as long as the longest transaction of anybody.
async fn while_folding(
    database: &Database,
    making: impl Future<Output = Result<bool, StoreError>>,
) -> Result<bool, StoreError> {
    let mut making = pin!(making);
    loop {
        tokio::select! {
            made = &mut making => return made,
            () = tokio::time::sleep(FOLD_EVERY) => {
                // To give the index up for that would be no help.
                if let Err(error) = fold::fold(database).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "Differences could not be added up yet");
                }
            }
        }
    }
}
