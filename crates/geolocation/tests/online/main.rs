//! The pool of online providers against a provider that is simulated in virtual time.

mod contract;
mod outage;
mod sharing;
mod support;
mod truth;
