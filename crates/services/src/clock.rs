use std::time::{SystemTime, UNIX_EPOCH};

use hostatlas_domain::Timestamp;

/// The system clock, read here alone above the backends. A clock before 1970 counts as 1970.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
