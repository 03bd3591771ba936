//! Ctrl-C and SIGTERM: the first asks to stop in good order, a second Ctrl-C stops at once.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Exit, Failure};

const NONE: u8 = 0;
const INTERRUPTED: u8 = 1;
const TERMINATED: u8 = 2;

/// Whether and how we were asked to stop.
#[derive(Clone)]
pub struct Shutdown {
    token: CancellationToken,
    received: Arc<AtomicU8>,
}

impl Shutdown {
    /// Listens from now on; until then a signal ends the process as it always does.
    pub fn listen() -> Result<Self, Failure> {
        let handler = |kind| {
            signal(kind).map_err(|error| Failure::error(format!("cannot listen for signals: {error}")))
        };
        let mut interrupts = handler(SignalKind::interrupt())?;
        let mut terminations = handler(SignalKind::terminate())?;
        let shutdown = Self { token: CancellationToken::new(), received: Arc::new(AtomicU8::new(NONE)) };
        let heard = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    _ = interrupts.recv() => INTERRUPTED,
                    _ = terminations.recv() => TERMINATED,
                };
                let before = heard.received.swap(signal, Ordering::SeqCst);
                if before == INTERRUPTED && signal == INTERRUPTED {
                    // What is committed stays; a person who asks twice does not want to wait.
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
                heard.token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// Cancelled by the first signal.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The exit code of a command that ended with `exit` in good order: 130 after Ctrl-C, 0 after SIGTERM.
    pub fn exit(&self, exit: Exit) -> Exit {
        match self.received.load(Ordering::SeqCst) {
            INTERRUPTED => Exit::Interrupted,
            TERMINATED => Exit::Done,
            _ => exit,
        }
    }

    /// Whether a signal came.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }
}
