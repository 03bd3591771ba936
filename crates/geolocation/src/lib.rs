//! Where is this address: the providers that know, and the one [`Locator`] that asks them.
//!
//! Nothing here knows the store, the queue or the application; a locator works on its own. It asks database files on
//! this machine ([`mmdb`]) first, and [`online`] providers for what they do not know, within what those allow: their
//! calls are counted by a [`Ledger`](online::Ledger), in memory unless another is given.
//!
//! Addresses that are not public never reach a provider.
//!
//! # Examples
//!
//! With database files alone:
//!
//! ```no_run
//! use hostatlas_geolocation::{Locator, Lookup, MmdbConfig, MmdbSet};
//!
//! # async fn example() -> Result<(), hostatlas_domain::InvalidAddress> {
//! let config = MmdbConfig { directory: Some("mmdb".into()), ..MmdbConfig::default() };
//! let (databases, problems) = MmdbSet::open(&config);
//! assert!(problems.is_empty(), "{problems:?}");
//! let locator = Locator::builder().mmdb(databases).build();
//! match locator.locate("8.8.8.8".parse()?).await {
//!     Lookup::Located(located) => println!("{}", located.place.label()),
//!     other => println!("{:?}", other.status()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With an online provider; here one that answers on this machine, since examples call nobody:
//!
//! ```
//! use std::{num::NonZeroUsize, sync::Arc};
//!
//! use hostatlas_domain::{LookupStatus, ProviderName};
//! use hostatlas_geolocation::{
//!     Locator,
//!     online::{CacheConfig, OnlineOptions, ProviderConfig, provider},
//! };
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let base = format!("http://{}/", listener.local_addr()?);
//! # tokio::spawn(async move {
//! #     let (mut caller, _) = listener.accept().await.unwrap();
//! #     let _ = caller.read(&mut [0; 4096]).await;
//! #     let body = r#"{"query":"8.8.8.8","status":"success","country":"United States","countryCode":"US",
//! #         "regionName":"California","city":"Mountain View","lat":37.4,"lon":-122.07}"#;
//! #     let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
//! #     let _ = caller.write_all((head + body).as_bytes()).await;
//! # });
//! let config = ProviderConfig { base_url: Some(base.parse()?), ..ProviderConfig::default() };
//! let ip_api = provider(ProviderName::IpApi, &config)?;
//! let locator = Locator::builder()
//!     .online(ip_api, OnlineOptions { allow_private: true })
//!     .workers(NonZeroUsize::MIN)
//!     .cache(CacheConfig::default())
//!     .build();
//! let lookups = locator.locate_batch(&["8.8.8.8".parse()?, "10.0.0.1".parse()?], 100).await;
//! assert_eq!(lookups[0].status(), LookupStatus::Located);
//! // Nobody is told of private addresses.
//! assert_eq!(lookups[1].status(), LookupStatus::NotApplicable);
//! # Ok(())
//! # }
//! ```
//!
//! Dropping the future of a lookup ends its calls; nothing runs on behind it.

mod country_centre;
mod credit;
mod locator;
mod lookup;
pub mod mmdb;
pub mod online;
mod provider;
mod sites;

pub use country_centre::country_centre;
pub use credit::{Credit, License, database_credit};
pub use locator::{LocateOptions, Locator, LocatorBuilder};
pub use lookup::{Deferral, DeferralCause, Lookup};
pub use mmdb::{AddressFamilies, DatabaseStatus, MmdbConfig, MmdbSet, Problem, ReloadOutcome, Role};
pub use online::ProviderInfo;
pub use provider::{Answer, LookupError, Provider};
pub use sites::Site;
