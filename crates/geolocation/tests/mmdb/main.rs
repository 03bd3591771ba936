//! Lookups in generated database files, through the public types alone.

mod hostile;
mod replacing;
mod routing;
mod schemas;
mod support;
mod tables;
