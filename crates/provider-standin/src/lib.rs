//! A server on loopback that speaks as the online providers do: their shapes, their limits, their bans, and every
//! way in which they or what stands in between has been seen to fail. Tests run against it, and a person may.
//!
//! Each provider has a path of its own, so that one port serves all of them:
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use hostatlas_domain::ProviderName;
//! use hostatlas_provider_standin::{Fault, Settings, StandIn};
//!
//! let stand_in = StandIn::start(Settings::default()).await?;
//! let base_url = stand_in.base_url(ProviderName::IpApi); // http://127.0.0.1:…/ip-api/
//! stand_in.set_fault(ProviderName::IpApi, Fault::ResetInBody);
//! # Ok(())
//! # }
//! ```
//!
//! It is no part of the product. Answers depend on the address and the seed alone.

mod answers;
mod cities;
mod control;
mod desk;
mod fault;
mod http;
mod server;
mod settings;
mod shapes;
mod spoilt;
mod world;

pub use cities::{CITIES, City};
pub use desk::Statistics;
pub use fault::{Fault, Stage, UnknownFault};
pub use http::{Request, Response};
pub use server::{StandIn, prefix};
pub use settings::{Quota, Settings, quotas};
pub use world::World;
