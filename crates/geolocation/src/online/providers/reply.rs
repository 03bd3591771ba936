//! What all providers' replies have in common: statuses, the headers that tell of limits, and lists of answers.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use hostatlas_domain::{Address, Closed, Limit, LimitWindow, Observation, sanitize};
use http::{HeaderMap, StatusCode, header};

use super::json::{Json, malformed};
use crate::{Answer, LookupError, online::Refusal};

/// One answer for each address.
pub type Answers = Vec<Result<Answer, LookupError>>;

/// Longest text of a provider that is repeated in a message, in characters.
const LONGEST_MESSAGE: usize = 200;

/// Added to a whole number of seconds of which nobody says how it was rounded.
const ROUNDING: Duration = Duration::from_secs(1);

/// Above this a time of reset is a moment in seconds since 1970, below it a number of seconds to wait.
const EARLIEST_MOMENT: u64 = 1_000_000_000;

/// Text of a provider, safe to repeat.
pub fn shown(text: &str) -> String {
    sanitize(text, LONGEST_MESSAGE)
}

/// What a status means that is not 200, wherever the provider documents nothing else.
pub fn refusal(status: StatusCode, body: Option<&Json>) -> Option<Refusal> {
    let said = || match body.and_then(message) {
        Some(message) => format!("{}: {message}", status.as_u16()),
        None => status.to_string(),
    };
    Some(match status.as_u16() {
        200 => return None,
        // 402 is what MaxMind says once its paid queries are used up.
        402 | 429 => Refusal::RateLimited,
        401 | 403 => Refusal::Rejected(said()),
        // A redirect is not followed: whatever answers there is not the provider that was configured.
        300..=399 | 407 | 408 | 425 | 499 | 500..=599 => Refusal::Unavailable(said()),
        _ => Refusal::Malformed(said()),
    })
}

/// What a body says of its failure, in any of the forms in use.
pub fn message(body: &Json) -> Option<String> {
    ["/error/message", "/error/error_message", "/error/title", "/message", "/error", "/reason", "/title"]
        .iter()
        .find_map(|pointer| body.at(pointer).as_text())
        .map(shown)
        .filter(|message| !message.is_empty())
}

/// How a provider's limits read.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For how long a refusal closes it that names no time.
    pub unless_told: Closed,
    /// The longest time that it may close itself for.
    pub longest: Duration,
}

impl Patience {
    /// For limits by the minute.
    pub const MINUTES: Self = Self { unless_told: Closed::Unsaid, longest: Duration::from_hours(1) };
    /// For limits by the day or month: whoever has used them up gains nothing from asking every minute.
    pub const DAYS: Self =
        Self { unless_told: Closed::For(Duration::from_hours(1)), longest: Duration::from_hours(24) };
}

/// What an answer tells about the limits that its call counted against.
pub fn observe(
    status: StatusCode,
    headers: &HeaderMap,
    limits: &[Limit],
    patience: Patience,
    refused: bool,
) -> Observation {
    let now = moment(headers, header::DATE.as_str());
    let structured = text(headers, "ratelimit").map(structured).unwrap_or_default();
    let remaining = ["x-rl", "ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining"]
        .iter()
        .find_map(|name| whole(text(headers, name)?))
        .or(structured.0);
    let resets_in = ["x-ttl", "ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset"]
        .iter()
        .find_map(|name| whole(text(headers, name)?))
        .or(structured.1)
        .and_then(|seconds| until(seconds, now));
    let bounded = |wait: Duration| wait.saturating_add(ROUNDING).min(patience.longest);

    let closed = if refused || status == StatusCode::SERVICE_UNAVAILABLE {
        let told = retry_after(headers, now).or(resets_in).map(|wait| Closed::For(bounded(wait)));
        // A server that is down says nothing of the quota unless it names a time.
        told.or_else(|| refused.then_some(patience.unless_told))
    } else if remaining == Some(0) {
        // Not rounded up: the permits that were counted see to it, and each second more is lost in every window.
        resets_in.map(|wait| Closed::For(wait.min(patience.longest)))
    } else {
        None
    };
    // A time beyond the window that is counted belongs to another limit of the provider, one by the month perhaps.
    let window = limits.iter().filter_map(|limit| match limit.window {
        LimitWindow::Rolling(length) => Some(length),
        LimitWindow::Day | LimitWindow::Month => None,
    });
    let longest_window = window.max().unwrap_or(Duration::MAX);
    Observation {
        remaining: remaining.map(|left| u32::try_from(left).unwrap_or(u32::MAX)),
        resets_in: resets_in.filter(|&wait| wait <= longest_window),
        closed,
    }
}

/// `Retry-After`, in seconds or as a date. Against the reply's own `Date`, so that our clock may be wrong.
fn retry_after(headers: &HeaderMap, now: Option<SystemTime>) -> Option<Duration> {
    let name = header::RETRY_AFTER.as_str();
    whole(text(headers, name)?)
        .map(Duration::from_secs)
        .or_else(|| Some(moment(headers, name)?.duration_since(now?).unwrap_or_default()))
}

/// How long until a reset that is a number of seconds or a moment.
fn until(seconds: u64, now: Option<SystemTime>) -> Option<Duration> {
    if seconds < EARLIEST_MOMENT {
        return Some(Duration::from_secs(seconds));
    }
    let moment = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(moment.duration_since(now?).unwrap_or_default())
}

fn text<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn moment(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

/// A whole number; one that is too large to be held is the largest.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::from(u32::MAX)))
}

/// `limit=60, remaining=12, reset=30`, or the later `"default";r=12;t=30`.
fn structured(text: &str) -> (Option<u64>, Option<u64>) {
    let find = |names: [&str; 2]| {
        text.split([',', ';']).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            names.contains(&name.trim()).then(|| whole(value.trim()))?
        })
    };
    (find(["remaining", "r"]), find(["reset", "t"]))
}

/// The answers of a list that has one for each address, in their order.
pub fn in_order(
    body: &Json,
    asked: &[Address],
    mut read: impl FnMut(&Json, Address) -> Result<Answer, LookupError>,
) -> Result<Answers, Refusal> {
    let Json::List(items) = body else {
        return Err(Refusal::Malformed(message(body).unwrap_or_else(|| "the answer is no list".to_owned())));
    };
    if items.len() != asked.len() {
        let (given, wanted) = (items.len(), asked.len());
        return Err(Refusal::Malformed(format!("{given} answers came to {wanted} questions")));
    }
    Ok(items.iter().zip(asked).map(|(item, &address)| read(item, address)).collect())
}

/// The answers of an object that has each under the address, behind `prefix`, that was asked about.
pub fn by_key(
    body: &Json,
    prefix: &str,
    asked: &[Address],
    mut read: impl FnMut(&Json, Address) -> Result<Answer, LookupError>,
) -> Result<Answers, Refusal> {
    let Json::Map(entries) = body else {
        return Err(Refusal::Malformed("the answer is no object with one key for each address".to_owned()));
    };
    // The provider may write an IPv6 address in another form than we did.
    let mut found: HashMap<Address, Option<&Json>> = HashMap::with_capacity(asked.len());
    for (key, item) in entries {
        if let Some(address) = key.strip_prefix(prefix).and_then(|text| text.parse().ok()) {
            found.entry(address).and_modify(|twice| *twice = None).or_insert(Some(item));
        }
    }
    if !asked.iter().any(|address| found.contains_key(address)) {
        let said = message(body).unwrap_or_else(|| "it has no answer to any question".to_owned());
        return Err(Refusal::Malformed(said));
    }
    Ok(asked
        .iter()
        .map(|address| match found.get(address) {
            Some(Some(item)) => read(item, *address),
            Some(None) => Err(malformed("two answers came for one address")),
            None => Err(malformed("no answer came for this address")),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn seen(status: u16, pairs: &[(&'static str, &'static str)]) -> Observation {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let limit = Limit {
            name: "lookups a minute".into(),
            unit: hostatlas_domain::LimitUnit::Calls,
            permits: 60,
            window: LimitWindow::Rolling(Duration::from_mins(1)),
            spacing: Duration::ZERO,
        };
        let status = StatusCode::from_u16(status).expect("a status");
        observe(status, &headers, &[limit], Patience::MINUTES, status == StatusCode::TOO_MANY_REQUESTS)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be nothing")]
    fn closed_for(seconds: u64) -> Option<Closed> {
        Some(Closed::For(Duration::from_secs(seconds)))
    }

    #[test]
    fn every_form_of_remaining_and_reset_is_read() {
        let forms: [&[(&str, &str)]; 6] = [
            &[("x-rl", "12"), ("x-ttl", "30")],
            &[("ratelimit-remaining", "12"), ("ratelimit-reset", "30")],
            &[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "30")],
            &[("ratelimit", "limit=60, remaining=12, reset=30")],
            &[("ratelimit", "\"default\";r=12;t=30")],
            &[
                ("x-ratelimit-remaining", "12"),
                ("x-ratelimit-reset", "1794000030"),
                ("date", "Fri, 06 Nov 2026 21:20:00 GMT"),
            ],
        ];
        let expected =
            Observation { remaining: Some(12), resets_in: Some(Duration::from_secs(30)), closed: None };
        for headers in forms {
            assert_eq!(seen(200, headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn every_shape_of_429_closes_for_a_time() {
        type Headers<'a> = &'a [(&'static str, &'static str)];
        let date = ("date", "Fri, 06 Nov 2026 21:20:00 GMT");
        let shapes: [(Headers<'_>, Option<Closed>); 11] = [
            (&[("retry-after", "30")], closed_for(31)),
            (&[("retry-after", "0")], closed_for(1)),
            (&[("retry-after", "999999999999999999999")], closed_for(3600)),
            (&[("retry-after", "Fri, 06 Nov 2026 21:21:00 GMT"), date], closed_for(61)),
            (&[("retry-after", "Fri, 06 Nov 2026 21:00:00 GMT"), date], closed_for(1)),
            (&[("retry-after", "Fri, 06 Nov 2026 21:21:00 GMT")], Some(Closed::Unsaid)),
            (&[("retry-after", "soon")], Some(Closed::Unsaid)),
            (&[("retry-after", "-5")], Some(Closed::Unsaid)),
            (&[("retry-after", "soon"), ("x-ttl", "12")], closed_for(13)),
            (&[("x-rl", "0"), ("x-ttl", "42")], closed_for(43)),
            (&[], Some(Closed::Unsaid)),
        ];
        for (headers, expected) in shapes {
            assert_eq!(seen(429, headers).closed, expected, "{headers:?}");
        }
    }

    #[test]
    fn the_last_permit_closes_the_window_until_its_reset() {
        assert_eq!(seen(200, &[("x-rl", "0"), ("x-ttl", "7")]).closed, closed_for(7));
        assert_eq!(seen(200, &[("x-rl", "1"), ("x-ttl", "7")]).closed, None);
    }

    #[test]
    fn a_server_that_is_down_is_left_alone_only_if_it_asks() {
        let asked = [seen(503, &[("retry-after", "5")]).closed, seen(503, &[]).closed, seen(500, &[]).closed];
        assert_eq!(asked, [closed_for(6), None, None]);
    }

    #[test]
    fn the_reset_of_another_window_does_not_move_ours() {
        let monthly = seen(200, &[("x-ratelimit-remaining", "100"), ("x-ratelimit-reset", "2000000")]);
        assert_eq!(monthly.resets_in, None);
    }
}
