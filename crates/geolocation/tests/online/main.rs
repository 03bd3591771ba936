//! The pool of online providers against a provider that is simulated in virtual time.

#![expect(clippy::print_stdout, reason = "the figures are read by whoever runs the tests")]

mod contract;
mod outage;
mod sharing;
mod standin;
mod support;
mod truth;
