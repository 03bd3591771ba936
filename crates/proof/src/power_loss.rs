//! Power loss: whatever a disk made of the writes that it had not confirmed, an `SQLite` database opens clean, with
//! every acknowledged transaction and no half one.
//!
//! A run of the real store is recorded write by write, with a mark wherever it acknowledged something. From that, images
//! are built of what a disk may hold at any moment: confirmed writes all, unconfirmed ones in part, out of order, torn
//! between sectors. Each is opened and must hold exactly what the database held after the last acknowledged step, or
//! after the next one. Most are opened by the engine alone; some also by the store itself, as a program that is started
//! again does, and compared with themselves as `db check` does.

mod disk;
mod examine;
mod journey;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
};

use anyhow::ensure;
use hostatlas_proof_shim::Event;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::json;

use self::{
    disk::{Disk, Image, Survival},
    journey::{Journey, WITHIN},
};
use crate::{Form, Options, Report};

/// The file of the database.
const NAME: &str = "hostatlas.db";
/// Images that the full form opens at least.
const IMAGES_LEAST: usize = 20_000;
/// One image in so many is also opened by the store itself...
const STORE_OPENS_ONE_IN: usize = 50;
/// ...but about so many of those of a short run.
const STORE_OPENS_ABOUT: usize = 25;
/// Images within which a fault must show.
const IMAGES_TO_CATCH: usize = 400;

/// A promise that is broken on purpose, to see that it would be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is ever confirmed: `synchronous=OFF`, or a disk that lies.
    NothingSynced,
    /// The log is not confirmed at a commit: about `synchronous=NORMAL`.
    LogNotSynced,
    /// The log's name is not confirmed, only its bytes.
    FolderNotSynced,
    /// A transaction is acknowledged when it is asked for.
    AcknowledgedEarly,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::NothingSynced, Self::LogNotSynced, Self::FolderNotSynced, Self::AcknowledgedEarly];

    /// What the recording would have been.
    fn spoil(self, events: &[Event]) -> Vec<Event> {
        let kept = |event: &&Event| match (self, event) {
            (Self::NothingSynced, Event::Sync { .. }) => false,
            (Self::LogNotSynced, Event::Sync { file }) => !file.to_string_lossy().ends_with("-wal"),
            (Self::FolderNotSynced, Event::Sync { file }) => !file.is_empty(),
            _ => true,
        };
        let early = |event: &Event| match event {
            Event::Mark(step) if self == Self::AcknowledgedEarly && *step < WITHIN => Event::Mark(step + 1),
            event => event.clone(),
        };
        events.iter().filter(kept).map(early).collect()
    }
}

/// Records a run and opens what may be left of it, then does so with each fault.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("power-loss", options);
    let (steps, most) = options.form.pick((600, usize::MAX), (60, 200));
    let journey = Arc::new(record(steps, options.seed).await?);
    report.number("acknowledged_steps", steps);
    report.number("recorded_events", journey.events.len());
    let opened = open_images(&journey, None, most, options.seed).await?;
    report.number("images", opened.images);
    report.number("images_opened_by_the_store", opened.by_store);
    report.require(opened.by_store > 0, || "the store opened none of them".to_owned());
    report.require(opened.images >= IMAGES_LEAST || options.form == Form::Short, || {
        format!("{} images are too few", opened.images)
    });
    opened.violations.into_iter().for_each(|violation| report.violation(violation));
    let mut caught = Vec::new();
    for fault in Fault::ALL {
        let opened = open_images(&journey, Some(fault), IMAGES_TO_CATCH, options.seed).await?;
        report.require(!opened.violations.is_empty(), || format!("{fault:?} was not caught"));
        caught.extend(opened.violations.first().map(|found| {
            json!({ "fault": format!("{fault:?}"), "found": found, "in": opened.violations.len(), "of": opened.images })
        }));
    }
    report.number("faults_caught", caught);
    Ok(report)
}

fn folder() -> std::io::Result<tempfile::TempDir> {
    // In memory where that is possible: what a disk would do is computed here.
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    let folder = builder.prefix("hostatlas-power-loss-");
    if memory.is_dir() { folder.tempdir_in(memory) } else { folder.tempdir() }
}

/// Records a run, and makes sure that nothing of it was missed.
async fn record(steps: usize, seed: u64) -> anyhow::Result<Journey> {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = folder()?;
    let journey = journey::record(folder.path(), steps, seed).await?;
    let mut disk = Disk::new(&journey.before);
    journey.events.iter().for_each(|event| disk.apply(event));
    let all = disk.image(Survival::All, &mut StdRng::seed_from_u64(0));
    ensure!(all == journey.after, "the recording missed some writes: what it gives is not what is there");
    Ok(journey)
}

/// What the images of a recording showed.
#[derive(Debug, Default)]
pub struct Opened {
    /// How many were opened.
    pub images: usize,
    /// Those that the store opened, too.
    pub by_store: usize,
    /// What was wrong with them.
    pub violations: Vec<String>,
}

/// An image to open, and what it must hold.
struct Expected {
    moment: usize,
    survival: Survival,
    image: Image,
    /// Steps that were acknowledged.
    steps: usize,
    /// Jobs that were acknowledged in the middle of the next one.
    jobs: Vec<i64>,
    /// Whether that one has more than one transaction.
    is_shared: bool,
    /// Whether the store is to open it, too.
    is_sampled: bool,
}

impl Expected {
    fn found(&self, wrong: &str) -> String {
        let Self { moment, survival, steps, .. } = self;
        format!("moment {moment}, {survival:?}, after step {steps}: {wrong}")
    }
}

async fn open_images(
    journey: &Arc<Journey>,
    fault: Option<Fault>,
    most: usize,
    seed: u64,
) -> anyhow::Result<Opened> {
    let events = fault.map_or_else(|| journey.events.clone(), |fault| fault.spoil(&journey.events));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Expected>(8);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let before = journey.before.clone();
    let building = std::thread::spawn(move || build(&before, &events, most, seed, &sender));
    let mut openers = tokio::task::JoinSet::new();
    for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
        let (journey, receiver) = (Arc::clone(journey), Arc::clone(&receiver));
        openers.spawn(async move {
            let mut opened = Opened::default();
            loop {
                let next = receiver.lock().await.recv().await;
                let Some(expected) = next else { break };
                // A folder for each: a connection that ended in an error is closed some time later, and would take the
                // log of the next image with it.
                let image = folder()?;
                disk::write(image.path(), &expected.image)?;
                opened.images += 1;
                let wrong = judge(&journey, &expected, &image.path().join(NAME)).await;
                opened.violations.extend(wrong.map(|wrong| expected.found(&wrong)));
                if expected.is_sampled && fault.is_none() {
                    // The image again: whoever opened it has recovered it.
                    let image = folder()?;
                    disk::write(image.path(), &expected.image)?;
                    opened.by_store += 1;
                    let wrong = examine::open_by_store(&image.path().join(NAME)).await.err();
                    let wrong = wrong.map(|error| expected.found(&format!("the store: {error:#}")));
                    opened.violations.extend(wrong);
                }
            }
            anyhow::Ok(opened)
        });
    }
    let mut sum = Opened::default();
    while let Some(opened) = openers.join_next().await {
        let opened = opened??;
        sum.images += opened.images;
        sum.by_store += opened.by_store;
        sum.violations.extend(opened.violations);
    }
    building.join().map_err(|_| anyhow::anyhow!("building images panicked"))?;
    Ok(sum)
}

/// Builds images at every moment, or at `most` random ones: each is a moment after some event.
fn build(
    before: &Image,
    events: &[Event],
    most: usize,
    seed: u64,
    images: &tokio::sync::mpsc::Sender<Expected>,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut moments: Vec<usize> = (0..events.len()).collect();
    moments.shuffle(&mut random);
    // Each moment gives one image to five; those that are alike count once.
    moments.truncate(most.div_ceil(2));
    let moments: HashSet<usize> = moments.into_iter().collect();
    let shared = shared_steps(events);
    let (mut disk, mut steps, mut jobs, mut built) = (Disk::new(before), 0, Vec::new(), 0_usize);
    let mut seen = HashSet::new();
    let sampled = (most / STORE_OPENS_ABOUT).clamp(1, STORE_OPENS_ONE_IN);
    for (moment, event) in events.iter().enumerate() {
        disk.apply(event);
        match event {
            Event::Mark(mark) if *mark >= WITHIN => jobs.extend(i64::try_from(mark - WITHIN)),
            Event::Mark(mark) => {
                steps = usize::try_from(*mark).unwrap_or(usize::MAX);
                jobs.clear();
            }
            _ => {}
        }
        if !moments.contains(&moment) {
            continue;
        }
        let survivals: &[Survival] = if disk.is_settled() {
            &[Survival::All]
        } else {
            &[Survival::All, Survival::Nothing, Survival::Some, Survival::Torn, Survival::Prefix]
        };
        for survival in survivals {
            let image = disk.image(*survival, &mut random);
            let mut hasher = DefaultHasher::new();
            (&image, steps, &jobs).hash(&mut hasher);
            if !seen.insert(hasher.finish()) {
                continue;
            }
            let is_shared = shared.contains(&(steps + 1));
            let is_sampled = built.is_multiple_of(sampled);
            let expected = Expected {
                moment,
                survival: *survival,
                image,
                steps,
                jobs: jobs.clone(),
                is_shared,
                is_sampled,
            };
            if built >= most || images.blocking_send(expected).is_err() {
                return;
            }
            built += 1;
        }
    }
}

/// The steps in which several requests were under way at once.
fn shared_steps(events: &[Event]) -> HashSet<usize> {
    let (mut shared, mut within) = (HashSet::new(), false);
    for event in events {
        match event {
            Event::Mark(mark) if *mark >= WITHIN => within = true,
            Event::Mark(mark) if std::mem::take(&mut within) => {
                shared.extend(usize::try_from(*mark));
            }
            _ => {}
        }
    }
    shared
}

/// What is wrong with an image.
async fn judge(journey: &Journey, expected: &Expected, path: &Path) -> Option<String> {
    if !path.exists() {
        return Some("the database is gone".to_owned());
    }
    let examined = match examine::examine(path).await {
        Ok(examined) => examined,
        Err(error) => return Some(format!("it does not open: {error:#}")),
    };
    if examined.integrity != "ok" {
        return Some(format!("it is damaged: {}", examined.integrity));
    }
    if examined.wrong_counts > 0 {
        return Some(format!(
            "{} counts of jobs are wrong: half a transaction is there",
            examined.wrong_counts
        ));
    }
    let found = journey.digests.iter().rposition(|digest| *digest == examined.digest);
    let acknowledged = journey.digests.get(expected.steps);
    let next = journey.digests.get(expected.steps + 1);
    if let Some(job) = expected.jobs.iter().find(|job| !examined.jobs.contains(job)) {
        return Some(format!("job {job} was acknowledged and is gone"));
    }
    let holds = [acknowledged, next].into_iter().flatten().any(|digest| *digest == examined.digest);
    if holds || expected.is_shared && found.is_none() {
        return None;
    }
    Some(found.map_or_else(
        || "it holds what the database never held: half a transaction is there".to_owned(),
        |found| format!("it is as it was after step {found}: what was acknowledged since is gone"),
    ))
}

/// Opens at most `most` images of a run of `steps` steps.
pub async fn images_of_a_run(
    steps: usize,
    most: usize,
    fault: Option<Fault>,
    seed: u64,
) -> anyhow::Result<Opened> {
    let journey = Arc::new(record(steps, seed).await?);
    open_images(&journey, fault, most, seed).await
}
