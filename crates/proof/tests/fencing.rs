//! The short form of the proof that a late end changes nothing.

use hostatlas_proof::{
    Backend, Form, Options, Report,
    fencing::{self, Fault},
};

const SCHEDULES: usize = 300;
const SEED: u64 = 4;

fn report() -> Report {
    Report::new(
        "fencing",
        &Options { form: Form::Short, seed: SEED, binary: "hostatlas".into(), backend: Backend::Sqlite },
    )
}

#[test]
fn no_interleaving_of_the_model_breaks_a_law_and_every_fault_does() {
    let mut report = report();
    fencing::explore(&mut report, Form::Short, 40_000);
    assert!(report.holds(), "{}", report.to_json());
}

async fn agrees(backend: Backend) {
    let replayed = fencing::replayed(backend, None, SCHEDULES, SEED).await.expect("a replay");
    assert!(replayed.mismatch.is_none(), "{replayed:?}");
    assert_eq!(replayed.schedules, SCHEDULES);
}

async fn shows_every_fault(backend: Backend) {
    for fault in Fault::of(backend) {
        let replayed = fencing::replayed(backend, Some(fault), SCHEDULES, SEED).await.expect("a replay");
        assert!(replayed.mismatch.is_some(), "{fault:?} was not caught");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_does_what_the_model_says() {
    agrees(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_shows_on_sqlite() {
    shows_every_fault(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_does_what_the_model_says() {
    agrees(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_shows_on_postgres() {
    shows_every_fault(Backend::Postgres).await;
}
