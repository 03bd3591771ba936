//! From a request to what is answered, and how.

use std::{sync::atomic::Ordering, time::Duration};

use hostatlas_domain::ProviderName;
use serde_json::json;

use super::{Shared, prefix};
use crate::{
    answers::{self, Entry, Outcome},
    control,
    desk::Admission,
    fault::{Fault, Stage},
    http::{Request, Response},
    settings::Settings,
    shapes::{self, Question},
    spoilt::{self, Scene},
    world::mix,
};

/// A response, and how it is to be sent.
pub(crate) struct Exchange {
    pub(crate) response: Response,
    /// A fault of the wire.
    pub(crate) transport: Option<Fault>,
    /// How long the answer takes.
    pub(crate) delay: Duration,
}

impl Exchange {
    const fn at_once(response: Response) -> Self {
        Self { response, transport: None, delay: Duration::ZERO }
    }
}

impl Shared {
    /// Answers one request and counts it.
    pub(crate) fn exchange(&self, mut request: Request) -> Exchange {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let whole = request.path.clone();
        let (first, rest) = whole.split_once('/').unwrap_or((&whole, ""));
        if first == "control" {
            return Exchange::at_once(control::answer(self, &request));
        }
        if first == "trap" {
            self.trapped.fetch_add(1, Ordering::Relaxed);
            return Exchange::at_once(Response::json(200, &json!({ "trapped": true })));
        }
        let provider =
            ProviderName::ASKED.into_iter().find(|known| known.is_online() && prefix(*known) == first);
        let Some(provider) = provider else {
            let text = format!("no provider `{first}`; GET /control says what there is\n");
            return Exchange::at_once(Response::of(404, "text/plain", text));
        };
        rest.clone_into(&mut request.path);
        let settings = self.settings().clone();
        let (response, transport) = self.ask(provider, &settings, &request, &whole, count);
        let drawn = mix(settings.world.seed ^ count.rotate_left(17));
        let jitter = settings.jitter.mul_f64(share(drawn));
        let response = response.with_header("Date", spoilt::http_date(self.now()));
        Exchange { response, transport, delay: settings.latency + jitter }
    }

    fn ask(
        &self,
        provider: ProviderName,
        settings: &Settings,
        request: &Request,
        path: &str,
        count: u64,
    ) -> (Response, Option<Fault>) {
        let broken = Response::of(500, "text/plain", "Internal Server Error");
        let down = self.with_desk(provider, |desk| {
            desk.statistics.requests += 1;
            desk.statistics.errors += u64::from(desk.down);
            desk.down
        });
        if down {
            return (broken, Some(Fault::ResetBeforeHeaders));
        }
        let question = match shapes::understand(provider, request) {
            Ok(question) => question,
            Err(refusal) => {
                self.with_desk(provider, |desk| desk.statistics.rejected += 1);
                return (refusal, None);
            }
        };
        let left = match self.admit(provider, settings, &question) {
            Admission::Admitted(left) => left,
            Admission::Closed(resets_in) => return (shapes::rate_limited(provider, resets_in), None),
            Admission::Banned => return (shapes::banned(), None),
        };
        let failing = share(mix(settings.world.seed ^ count)) < settings.error_rate;
        let fault = self.with_desk(provider, |desk| {
            let fault = desk.next_fault().filter(|fault| fault.stage() != Stage::Connection);
            desk.statistics.faulted += u64::from(fault.is_some());
            desk.statistics.errors += u64::from(fault.is_none() && failing);
            fault
        });
        if fault.is_none() && failing {
            return (broken, None);
        }
        let scene =
            Scene { provider, origin: &self.origin, path, now: self.now(), key: secret(request), count };
        let response = self.respond(&question, fault, &scene);
        let response = match left {
            Some((left, resets_in)) if fault.is_none() => {
                shapes::with_quota(provider, response, left, resets_in)
            }
            _ => response,
        };
        (response, fault.filter(|fault| fault.stage() == Stage::Transport))
    }

    fn admit(&self, provider: ProviderName, settings: &Settings, question: &Question) -> Admission {
        let addresses = u32::try_from(question.asked.len()).unwrap_or(u32::MAX);
        let now = self.now();
        self.with_desk(provider, |desk| {
            desk.statistics.batches += u64::from(question.batch);
            desk.statistics.addresses_asked += u64::from(addresses);
            if question.paid {
                Admission::Admitted(None)
            } else {
                desk.admit(provider, settings, question.batch, addresses, now)
            }
        })
    }

    fn respond(&self, question: &Question, fault: Option<Fault>, scene: &Scene<'_>) -> Response {
        let provider = scene.provider;
        if let Some(response) = fault.and_then(|fault| spoilt::instead(fault, scene)) {
            return response;
        }
        let entry = |asked: &String| {
            // An item of ipinfo's batch may name the plan before the address.
            let address = asked.rsplit('/').next().unwrap_or_default();
            Entry { asked: asked.clone(), ..Entry::of(&self.world, provider, address) }
        };
        let mut entries: Vec<Entry> = question.asked.iter().map(entry).collect();
        let special = entries.iter().filter(|entry| matches!(entry.outcome, Outcome::Special(_))).count();
        self.with_desk(provider, |desk| {
            desk.statistics.special_addresses += special as u64;
            // What a fault spoils is no answer, except the last one before a window closes.
            if fault.is_none_or(|fault| fault == Fault::LastPermit) {
                desk.answered(entries.iter().filter_map(|entry| entry.address));
            }
        });
        let Some(fault) = fault else { return shapes::render(question, &entries) };
        answers::spoil(fault, &self.world, provider, &mut entries, question.batch);
        spoilt::damage(fault, shapes::render(question, &entries), question.batch)
    }
}

/// The secret half of what a request is authorized with.
fn secret(request: &Request) -> Option<String> {
    request
        .basic()
        .map(|(_, password)| password)
        .filter(|password| !password.is_empty())
        .or_else(|| request.key())
}

/// A number from 0 to less than 1.
fn share(drawn: u64) -> f64 {
    let bits = u32::try_from(drawn >> 32).unwrap_or(0);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
