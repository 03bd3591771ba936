use std::sync::atomic::{AtomicBool, Ordering};

use crate::StoreError;

/// The name that log filters know these lines by: commands whose own answer says the same turn them off.
const LOG_TARGET: &str = "hostatlas::writing";

/// Whether a process can write, so that its log has one line when that ends and one when it works again.
#[derive(Debug, Default)]
pub struct Writing {
    fails: AtomicBool,
}

impl Writing {
    /// Notes how an operation ended that may have written: an error may say that nothing can be written. That it succeeded
    /// says nothing, since it may have had nothing to write.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    pub fn tried<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let fails = matches!(
            answer,
            Err(StoreError::NotWritable { .. }
                | StoreError::Unreachable { .. }
                | StoreError::OutcomeUnknown { .. })
        );
        if let Err(error) = &answer
            && fails
            && !self.fails.swap(true, Ordering::Relaxed)
        {
            tracing::error!(target: LOG_TARGET, "Nothing can be written: {error}");
        }
        answer
    }

    /// Notes how an operation ended that always writes.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    pub fn wrote<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if answer.is_ok() && self.fails.swap(false, Ordering::Relaxed) {
            tracing::info!(target: LOG_TARGET, "The database can be written again");
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_wrote_ends_the_failing() {
        let writing = Writing::default();
        let fails = || writing.fails.load(Ordering::Relaxed);
        let full = StoreError::NotWritable { reason: "full".to_owned(), remedy: String::new() };
        assert!(writing.tried(Err::<(), _>(full)).is_err() && fails());
        assert!(writing.tried(Ok(())).is_ok() && fails());
        assert!(writing.wrote(Err::<(), _>(StoreError::Busy)).is_err() && fails());
        assert!(writing.wrote(Ok(())).is_ok() && !fails());
        assert!(writing.tried(Err::<(), _>(StoreError::Busy)).is_err() && !fails());
    }
}
