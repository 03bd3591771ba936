//! The key of every provider is a word that is in nothing that anybody gets to read.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, stream};
use hostatlas_domain::ProviderName;
use hostatlas_geolocation::{
    Locator,
    online::{HttpTransport, provider},
};
use hostatlas_provider_standin::Fault;
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter, util::SubscriberInitExt};

use crate::support::{
    KEY, Mode, OPTIONS, PROVIDERS, addresses, configured, custom_config, eased, provider_config, stand_in,
    transport,
};

/// Reads everything that is logged, and keeps what it should not have seen.
#[derive(Clone, Default)]
struct Reader(Arc<Mutex<Read>>);

#[derive(Default)]
struct Read {
    lines: u64,
    /// Which parts of the program were heard.
    from_http: bool,
    from_us: bool,
    found: Vec<String>,
}

impl Reader {
    fn read(&self) -> MutexGuard<'_, Read> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Text of another source.
    fn look_at(&self, source: &str, text: &str) {
        let mut read = self.read();
        if secrets().iter().any(|secret| text.contains(secret.as_str())) {
            read.found.push(format!("{source}: {text}"));
        }
    }
}

/// The key as it is, and as HTTP Basic has it.
fn secrets() -> [String; 2] {
    [KEY.to_owned(), STANDARD.encode(format!("1:{KEY}"))]
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.look_at("log", &text);
        let mut read = self.read();
        read.lines += 1;
        read.from_http |= text.contains("hyper") || text.contains("reqwest");
        read.from_us |= text.contains("hostatlas_geolocation");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Reader {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Every provider under one fault, single and batch, with all that it says of it.
async fn listen(reader: &Reader, transport: &Arc<HttpTransport>, fault: Fault, position: usize) {
    let stand_in = stand_in().await;
    let hosts = addresses(8_000_000 + u32::try_from(position).expect("few faults") * 10, 1);
    for name in PROVIDERS {
        stand_in.set_fault(name, fault);
        for mode in [Mode::Single, Mode::Batch] {
            let Some(provider) = eased(name, &stand_in.base_url_under(name, fault), mode) else { continue };
            let locator = Locator::builder().online_over(provider, Arc::clone(transport) as _).build();
            let lookups = locator.locate_with(&hosts, OPTIONS).await;
            reader.look_at("lookup", &format!("{lookups:?} {lookups:#?}"));
            reader.look_at("provider", &format!("{:?}", locator.providers()));
        }
    }
}

#[tokio::test]
async fn no_key_is_to_be_read_in_any_log_error_url_or_debug_text() {
    let reader = Reader::default();
    // Takes what is logged by way of `log` too, as reqwest does.
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(LevelFilter::TRACE)
        .with_writer(reader.clone())
        .finish()
        .init();

    let transport = transport();
    let faults: Vec<Fault> = Fault::ALL.iter().copied().filter(|fault| !fault.needs_patience()).collect();
    stream::iter(faults.into_iter().enumerate())
        .for_each_concurrent(16, |(position, fault)| listen(&reader, &transport, fault, position))
        .await;
    for name in PROVIDERS {
        let provider = configured(name, "http://127.0.0.1:9/");
        reader.look_at("base URL", provider.base_url().as_str());
        reader.look_at("terms", provider.terms());
        reader.look_at("endpoints", &format!("{:?}", provider.endpoints()));
        for endpoint in 0..provider.endpoints().len() {
            let request = provider.request(endpoint, &addresses(1, 1));
            reader.look_at("request", &format!("{request:?} {request:#?} {:?}", request.headers));
        }
    }
    reader.look_at(
        "configuration",
        &format!("{:?}", provider_config(ProviderName::Maxmind, "http://127.0.0.1:9/")),
    );
    reader.look_at("description", &format!("{:?}", custom_config("http://127.0.0.1:9/")));
    for base_url in
        ["http://geo.example/", "ftp://geo.example/", "https://user:secret@geo.example/", "https://a/?b"]
    {
        let refused = provider(ProviderName::IpApi, &provider_config(ProviderName::IpApi, base_url));
        let error = refused.map(|_| ()).expect_err("a URL that may not be asked");
        reader.look_at("configuration error", &format!("{error} {error:?}"));
    }

    let read = reader.read();
    assert!(read.lines > 1_000 && read.from_http && read.from_us, "{} lines were heard", read.lines);
    assert!(
        read.found.is_empty(),
        "{} texts hold a key: {:#?}",
        read.found.len(),
        &read.found[..read.found.len().min(5)]
    );
}

#[test]
fn a_key_that_was_logged_would_be_found_in_either_form() {
    let mut reader = Reader::default();

    writeln!(reader, "GET /json?key={KEY}").expect("it takes everything");
    writeln!(reader, "authorization: Basic {}", STANDARD.encode(format!("1:{KEY}")))
        .expect("it takes everything");
    writeln!(reader, "GET /json?key=another").expect("it takes everything");

    assert_eq!(reader.read().found.len(), 2);
}
