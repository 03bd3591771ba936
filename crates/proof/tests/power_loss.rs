//! The short form of the proof that a power loss costs nothing that was acknowledged.

use hostatlas_proof::power_loss::{Fault, Opened, images_of_a_run};

const SEED: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_disk_kept_opens_clean_with_all_that_was_acknowledged() {
    let Opened { images, by_store, violations } = images_of_a_run(60, 200, None, SEED).await.expect("images");
    assert_eq!(violations, Vec::<String>::new());
    assert!(
        images >= 190 && by_store >= 20,
        "{images} images are too few, or {by_store} by the store itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_promise_is_noticed() {
    for fault in Fault::ALL {
        let opened = images_of_a_run(60, 200, Some(fault), SEED).await.expect("images");
        assert!(!opened.violations.is_empty(), "{fault:?} was not caught");
    }
}
