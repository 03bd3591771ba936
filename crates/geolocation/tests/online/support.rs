use std::{
    collections::HashSet,
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, Closed, Coordinate, Limit, LimitUnit, LimitWindow, Located, Network, Observation, Place,
    Precision, ProviderName, UnlocatedReason,
};
use hostatlas_geolocation::{
    Answer, Locator, LocatorBuilder, LookupError,
    online::{Endpoint, HttpRequest, HttpResponse, OnlineProvider, Refusal, Reply, Transport},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};
use url::Url;

/// A minute, as most limits have.
pub const MINUTE: Duration = Duration::from_mins(1);

/// The public address with this number; different for numbers below ten million.
pub fn address(number: u32) -> Address {
    Address::from(IpAddr::V4(Ipv4Addr::from_bits(0x1700_0000 + number)))
}

pub fn addresses(count: u32) -> Vec<Address> {
    (0..count).map(address).collect()
}

/// How a [`Server`] rounds the seconds to the end of its window, if it tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Nothing,
    Floor,
    Ceil,
    Nearest,
}

/// What a [`Server`] does.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Requests that each window of each endpoint takes, and how long it is; none for no limit.
    pub limits: Vec<Option<(u32, Duration)>>,
    /// One way, from and to.
    pub latency: (Duration, Duration),
    pub told: Told,
    /// What it answers instead; `None` for answers.
    pub fails: Option<Failing>,
    /// Addresses of which it knows nothing, and of which it knows the country.
    pub misses: HashSet<Address>,
    pub coarse: HashSet<Address>,
    /// The share of requests and of answers that get lost.
    pub lost: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    Status(u16),
    Unreachable,
    Never,
    Garbage,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            limits: vec![None, None],
            latency: (Duration::from_millis(10), Duration::from_millis(10)),
            told: Told::Nothing,
            fails: None,
            misses: HashSet::new(),
            coarse: HashSet::new(),
            lost: 0.0,
        }
    }
}

/// What a [`Server`] saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests, with the endpoint, the number of addresses and when each came.
    pub requests: Vec<(usize, usize, Instant)>,
    /// Requests that came while the window was closed.
    pub refused: u64,
    /// Addresses that were answered.
    pub answered: HashSet<Address>,
    pub under_way: usize,
    pub most_under_way: usize,
}

/// A provider's server, with fixed windows that begin with the first request after the last one.
pub struct Server {
    state: Mutex<State>,
}

struct State {
    behaviour: Behaviour,
    windows: Vec<(Instant, u32)>,
    seen: Seen,
    random: StdRng,
}

impl Server {
    pub fn new(behaviour: Behaviour) -> Arc<Self> {
        let windows = vec![(Instant::now(), 0); behaviour.limits.len()];
        let random = StdRng::seed_from_u64(7);
        Arc::new(Self { state: Mutex::new(State { behaviour, windows, seen: Seen::default(), random }) })
    }

    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    pub fn see<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.state().seen)
    }

    pub fn calls(&self) -> usize {
        self.see(|seen| seen.requests.len())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn one_way(&mut self) -> Duration {
        let (least, most) = self.behaviour.latency;
        self.random.random_range(least..=most)
    }

    fn answer(&mut self, endpoint: usize, asked: &[Address]) -> Result<HttpResponse, Refusal> {
        let now = Instant::now();
        self.seen.requests.push((endpoint, asked.len(), now));
        let mut headers = HeaderMap::new();
        let mut status = StatusCode::OK;
        if let Some((permits, length)) = self.behaviour.limits[endpoint] {
            let (began, count) = &mut self.windows[endpoint];
            if *count == 0 || now >= *began + length {
                (*began, *count) = (now, 0);
            }
            let left = (*began + length).duration_since(now).as_secs_f64();
            if *count >= permits {
                self.seen.refused += 1;
                status = StatusCode::TOO_MANY_REQUESTS;
            } else {
                *count += 1;
            }
            let seconds = match self.behaviour.told {
                Told::Nothing => None,
                Told::Floor => Some(left.floor()),
                Told::Ceil => Some(left.ceil()),
                Told::Nearest => Some(left.round()),
            };
            if let Some(seconds) = seconds {
                headers.insert("x-rl", HeaderValue::from(permits - *count));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "seconds of a window"
                )]
                headers.insert("x-ttl", HeaderValue::from(seconds as u64));
            }
        }
        match self.behaviour.fails {
            Some(Failing::Unreachable) => {
                return Err(Refusal::Unavailable("it refused the connection".to_owned()));
            }
            Some(Failing::Status(code)) => status = StatusCode::from_u16(code).expect("a status"),
            _ => {}
        }
        let mut body = String::new();
        if status.is_success() {
            for address in asked {
                let kind = if self.behaviour.misses.contains(address) {
                    "miss"
                } else if self.behaviour.coarse.contains(address) {
                    "country"
                } else {
                    "city"
                };
                writeln!(body, "{address} {kind}").expect("memory");
            }
            self.seen.answered.extend(asked.iter().copied());
        }
        if self.behaviour.fails == Some(Failing::Garbage) {
            "<html>welcome to our wireless network</html>".clone_into(&mut body);
        }
        Ok(HttpResponse { status, headers, body: body.into_bytes() })
    }
}

/// Counts a call as under way until it ends or is given up.
struct UnderWay<'a>(&'a Server);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state().seen.under_way -= 1;
    }
}

#[async_trait]
impl Transport for Server {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Refusal> {
        let endpoint = request.url.path().trim_start_matches('/').parse().expect("an endpoint");
        let body = String::from_utf8(request.body.unwrap_or_default()).expect("text");
        let asked: Vec<Address> = body.lines().map(|line| line.parse().expect("an address")).collect();
        let (there, back, lost_there, lost_back) = {
            let mut state = self.state();
            state.seen.under_way += 1;
            state.seen.most_under_way = state.seen.most_under_way.max(state.seen.under_way);
            let lost = state.behaviour.lost;
            let (there, back) = (state.one_way(), state.one_way());
            (there, back, state.random.random_bool(lost), state.random.random_bool(lost))
        };
        let _under_way = UnderWay(self);
        let cut_off = || Refusal::Unavailable("it cut the connection off".to_owned());
        sleep(there).await;
        if lost_there {
            return Err(cut_off());
        }
        let answer = self.state().answer(endpoint, &asked);
        if self.state().behaviour.fails == Some(Failing::Never) {
            sleep(Duration::from_secs(8)).await;
            return Err(Refusal::Unavailable("it did not answer in time".to_owned()));
        }
        sleep(back).await;
        if lost_back { Err(cut_off()) } else { answer }
    }
}

/// How many addresses one request may ask about, and how many requests a window takes.
pub type Way = (u32, Option<(u32, Duration)>);

/// What is asked of a [`Server`].
pub struct Simulated {
    name: ProviderName,
    url: Url,
    endpoints: Vec<Endpoint>,
    finest: Precision,
}

impl Simulated {
    /// With endpoints for so many addresses in one request, each with a limit of requests.
    pub fn new(name: ProviderName, endpoints: &[Way], spacing: Duration) -> Arc<Self> {
        let endpoint = |(index, (batch, limit)): (usize, &Way)| Endpoint {
            name: if *batch > 1 { "batch" } else { "single" },
            batch: *batch,
            limits: limit
                .iter()
                .map(|(permits, length)| Limit {
                    name: format!("calls of {index}").into(),
                    unit: LimitUnit::Calls,
                    permits: *permits,
                    window: LimitWindow::Rolling(*length),
                    spacing,
                })
                .collect(),
        };
        let endpoints = endpoints.iter().enumerate().map(endpoint).collect();
        let url = Url::parse("http://simulated.test/").expect("a URL");
        Arc::new(Self { name, url, endpoints, finest: Precision::City })
    }

    /// The same, which says that it knows countries alone.
    pub fn of_countries(name: ProviderName) -> Arc<Self> {
        let url = Url::parse("http://simulated.test/").expect("a URL");
        let endpoints = vec![Endpoint { name: "batch", batch: 1_000, limits: Vec::new() }];
        Arc::new(Self { name, url, endpoints, finest: Precision::Country })
    }

    /// One endpoint for single addresses, without any limit.
    pub fn unlimited(name: ProviderName) -> Arc<Self> {
        Self::new(name, &[(1, None)], Duration::ZERO)
    }

    fn located(&self, address: Address, precision: Precision) -> Answer {
        let key = address.to_key();
        let coordinate = Coordinate::new(f64::from(key[15]) / 10.0, 8.0).expect("on the earth");
        let city = (precision == Precision::City).then(|| "Somewhere".to_owned());
        let place = Place { coordinate, precision, city, region: None, country: "DE".parse().ok() };
        Answer::Found(Arc::new(Located {
            place,
            network: Network::default(),
            timezone: None,
            provider: self.name,
            accuracy_km: None,
            database_build: None,
        }))
    }
}

impl OnlineProvider for Simulated {
    fn name(&self) -> ProviderName {
        self.name
    }

    fn base_url(&self) -> &Url {
        &self.url
    }

    fn account(&self) -> u32 {
        0
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn request(&self, endpoint: usize, addresses: &[Address]) -> HttpRequest {
        let lines: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let body = lines.join("\n");
        HttpRequest {
            method: Method::POST,
            url: self.url.join(&endpoint.to_string()).expect("a URL"),
            headers: Vec::new(),
            body: Some(body.into_bytes()),
            addresses: addresses.len(),
        }
    }

    fn parse(&self, _endpoint: usize, addresses: &[Address], response: &HttpResponse) -> Reply {
        let number = |name| response.headers.get(name)?.to_str().ok()?.parse::<u32>().ok();
        let remaining = number("x-rl");
        let resets_in = number("x-ttl").map(|seconds| Duration::from_secs(seconds.into()));
        let refused = response.status == StatusCode::TOO_MANY_REQUESTS;
        let closed = (refused || remaining == Some(0)).then_some(Closed::Unsaid);
        let observation = Observation { remaining, resets_in, closed };
        let text = String::from_utf8_lossy(&response.body);
        let answers = match response.status.as_u16() {
            429 => Err(Refusal::RateLimited),
            401 | 403 => Err(Refusal::Rejected("its key was refused".to_owned())),
            500.. => Err(Refusal::Unavailable("it failed".to_owned())),
            _ if text.starts_with('<') => Err(Refusal::Malformed("it answered with a page".to_owned())),
            _ => Ok(text.lines().zip(addresses).map(|(line, address)| self.read(line, *address)).collect()),
        };
        Reply { answers, observation }
    }

    fn terms(&self) -> &'static str {
        "For tests."
    }

    fn finest(&self) -> Precision {
        self.finest
    }
}

impl Simulated {
    fn read(&self, line: &str, address: Address) -> Result<Answer, LookupError> {
        match line.split_once(' ') {
            Some((about, "city")) if about.parse() == Ok(address) => {
                Ok(self.located(address, Precision::City))
            }
            Some((_, "country")) => Ok(self.located(address, Precision::Country)),
            Some((_, "miss")) => Ok(Answer::Miss(UnlocatedReason::NoRecord)),
            _ => Err(LookupError::Malformed { detail: "another address's answer".to_owned() }),
        }
    }
}

/// A locator that asks these.
pub fn locator(providers: &[(Arc<Simulated>, Arc<Server>)]) -> Locator {
    builder(providers).build()
}

pub fn builder(providers: &[(Arc<Simulated>, Arc<Server>)]) -> LocatorBuilder {
    providers.iter().fold(Locator::builder(), |builder, (provider, server)| {
        builder.online_over(Arc::clone(provider) as _, Arc::clone(server) as _)
    })
}
