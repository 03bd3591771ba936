//! Direct batch runs from the web.

use hostatlas_domain::{GeolocateSummary, Mode, RunState};
use hostatlas_store::{RunProgress, StoreError};

use crate::{TestStore, factory::*};

fn progress(id: hostatlas_domain::RunId, state: RunState, located: u64) -> RunProgress {
    let summary =
        GeolocateSummary { located, considered: located, ..GeolocateSummary::new(Mode::AsyncBatch) };
    RunProgress { id, summary, state, error: None }
}

/// A second run has to wait for the first.
pub async fn one_run_at_a_time(test: &TestStore) {
    let first = test.run_start(Mode::AsyncBatch, 10).await.expect("a run");
    assert!(
        matches!(test.run_start(Mode::AsyncBatch, 5).await, Err(StoreError::RunInProgress(id)) if id == first)
    );
    test.run_report(progress(first, RunState::Done, 10)).await.expect("reported");
    let second = test.run_start(Mode::AsyncBatch, 5).await.expect("a run");
    let ended = test.run_get(first).await.expect("a run");
    assert_eq!((ended.state, ended.total, ended.summary.located), (RunState::Done, 10, 10));
    assert_eq!(test.run_latest().await.expect("a run").map(|run| run.id), Some(second));
}

/// A run whose process died does not block the next.
pub async fn a_silent_run_is_interrupted(test: &TestStore) {
    let first = test.run_start(Mode::AsyncBatch, 10).await.expect("a run");
    (test.advance)(SECOND * 11);
    assert_eq!(test.run_get(first).await.expect("a run").state, RunState::Interrupted);
    test.run_start(Mode::AsyncBatch, 5).await.expect("the next run begins");
}

/// Whoever reports progress hears that it should stop.
pub async fn a_cancelled_run_hears_of_it(test: &TestStore) {
    let id = test.run_start(Mode::AsyncBatch, 10).await.expect("a run");
    let before = test.run_report(progress(id, RunState::Running, 1)).await.expect("reported");
    test.run_cancel(id).await.expect("asked");
    let after = test.run_report(progress(id, RunState::Running, 2)).await.expect("reported");
    assert_eq!((before, after), (false, true));
    test.run_report(progress(id, RunState::Cancelled, 2)).await.expect("reported");
    assert_eq!(test.run_get(id).await.expect("a run").state, RunState::Cancelled);
}

/// Hosts that stay due are told apart from those that failed.
pub async fn a_run_keeps_what_it_deferred(test: &TestStore) {
    let id = test.run_start(Mode::AsyncBatch, 10).await.expect("a run");
    let mut report = progress(id, RunState::Done, 4);
    report.summary.deferred = 6;
    test.run_report(report).await.expect("reported");
    assert_eq!(test.run_get(id).await.expect("a run").summary.deferred, 6);
}
