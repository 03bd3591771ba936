//! What a worker does after it, or another, died.

use super::*;

/// How many rounds of work it takes to drain jobs with which so many workers died, one job a batch.
async fn rounds(crashes: &[u32], mode: ClaimMode, kinds: &[JobKind]) -> u128 {
    let store = Arc::new(MemoryStore::with_crashes(crashes));
    let work = Work::Take(Duration::from_millis(100));
    let mut worker = worker(&store, work, mode, 1, true);
    let handler =
        |kind: &JobKind| Arc::new(TestHandler { kind: *kind, work, mode, batch: 1 }) as Arc<dyn Handler>;
    worker.handlers = kinds.iter().map(handler).collect();
    let began = Instant::now();
    let summary = worker.run(&ALONE, CancellationToken::new()).await.expect("memory does not fail");
    assert_eq!(summary.completed, crashes.len() as u64);
    (began.elapsed().as_millis() + 50) / 100
}

#[tokio::test(start_paused = true)]
async fn what_has_to_run_alone_runs_beside_nothing_else() {
    for mode in [ClaimMode::Lease, ClaimMode::Peek] {
        let one_kind = &JobKind::ALL[..1];
        for (crashes, expected) in [
            (&[0, 0, 0, 0][..], 2),
            (&[1, 1, 1, 1], 2),
            (&[2, 2, 2, 2], 4),
            (&[3, 4], 2),
            // Neither beside what was begun before it, nor with something begun beside it.
            (&[0, 2], 2),
            (&[2, 0], 2),
            (&[0, 0, 2, 0, 0], 3),
        ] {
            assert_eq!(rounds(crashes, mode, one_kind).await, expected, "{crashes:?} with {mode:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_to_run_alone_runs_beside_no_other_kind_either() {
    let two_kinds = &JobKind::ALL[..2];
    for (crashes, expected) in [(&[0, 0, 0, 0][..], 1), (&[2, 2, 2, 2], 4), (&[0, 2], 2), (&[2, 0], 2)] {
        assert_eq!(rounds(crashes, ClaimMode::Lease, two_kinds).await, expected, "{crashes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_unclean_start_jobs_are_leased_and_not_only_peeked() {
    let store = Arc::new(MemoryStore { rescued_at_start: 1, ..MemoryStore::with_jobs(3) });
    drain(&store, Work::Succeed, ClaimMode::Peek, 1).await;
    assert_eq!(modes(&store), [ClaimMode::Lease].into());
}

/// What was only peeked at is not running, so that nothing has to be taken back.
#[tokio::test(start_paused = true)]
async fn after_a_worker_that_died_while_it_peeked_jobs_are_leased() {
    let store = Arc::new(MemoryStore::with_jobs(3));
    let dying = worker(&store, Work::Take(Duration::from_mins(1)), ClaimMode::Peek, 1, true);
    let died =
        tokio::time::timeout(Duration::from_secs(1), dying.run(&ALONE, CancellationToken::new())).await;
    assert!(died.is_err() && modes(&store) == [ClaimMode::Peek].into(), "{died:?}");
    store.claims.lock().expect("unpoisoned").clear();
    drain(&store, Work::Succeed, ClaimMode::Peek, 1).await;
    assert_eq!(modes(&store), [ClaimMode::Lease].into());
}

#[tokio::test(start_paused = true)]
async fn after_an_unclean_start_batches_are_small_until_enough_jobs_went_well() {
    let store = Arc::new(MemoryStore { rescued_at_start: 1, ..MemoryStore::with_jobs(40_000) });
    let summary = drain(&store, Work::Succeed, ClaimMode::Lease, 10_000).await;
    let limits = store.limits.lock().expect("unpoisoned").clone();
    let careful = limits.iter().take_while(|limit| **limit == 1_000).count();
    assert_eq!(summary.completed, 40_000);
    // Two batches are under way when the last that was needed ends.
    assert!(
        (10..=12).contains(&careful) && limits[careful..].iter().all(|limit| *limit == 10_000),
        "{limits:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn jobs_with_which_a_worker_died_are_never_only_peeked() {
    let store = Arc::new(MemoryStore::with_crashes(&[0, 1, 2]));
    let summary = drain(&store, Work::Succeed, ClaimMode::Peek, 1).await;
    assert_eq!((summary.completed, store.leased()), (3, vec![2, 3]));
}
