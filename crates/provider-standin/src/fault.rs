use std::{fmt, str::FromStr};

/// Where in an exchange a [`Fault`] lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before a request can be made: it takes another base URL, [`StandIn::base_url_under`](crate::StandIn).
    Connection,
    /// How the answer comes over the wire.
    Transport,
    /// Its status and headers, or a body that is none of the provider's.
    Response,
    /// What the provider's own body says.
    Answer,
    /// How the provider says that its quota is used up.
    Quota,
}

macro_rules! faults {
    ($($stage:ident { $($(#[$documentation:meta])* $name:ident = $slug:literal,)* })*) => {
        /// Ways in which a provider, or what stands in between, fails.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($($(#[$documentation])* $name,)*)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)*)*];

            /// Its name at `POST /control` and in reports.
            pub const fn slug(self) -> &'static str {
                match self { $($(Self::$name => $slug,)*)* }
            }

            /// Where in an exchange it lies.
            pub const fn stage(self) -> Stage {
                match self { $($(Self::$name => Stage::$stage,)*)* }
            }
        }
    };
}

faults! {
    Connection {
        /// Nothing listens there.
        Refused = "refused",
        /// The name has no address. It is too long to be asked for, so that no name server ever is.
        NoSuchHost = "no-such-host",
        /// Bytes that are no TLS.
        TlsGarbage = "tls-garbage",
        /// The connection ends in the handshake.
        TlsCutOff = "tls-cut-off",
        /// HTTP where TLS was expected.
        TlsPlainText = "tls-plain-text",
    }
    Transport {
        /// Closed in good order, without a byte.
        ClosedBeforeHeaders = "closed-before-headers",
        /// Reset without a byte.
        ResetBeforeHeaders = "reset-before-headers",
        /// Reset amid the headers.
        ResetInHeaders = "reset-in-headers",
        /// Reset amid the body.
        ResetInBody = "reset-in-body",
        /// Closed in good order amid the body.
        ClosedInBody = "closed-in-body",
        /// Never a byte, and never closed.
        HangBeforeHeaders = "hang-before-headers",
        /// Headers, then half a body, then nothing.
        HangInBody = "hang-in-body",
        /// One byte of the headers a second.
        DripHeaders = "drip-headers",
        /// One byte of the body a second.
        DripBody = "drip-body",
        /// Announces more than it sends, and closes.
        LengthTooLong = "length-too-long",
        /// Announces less than it sends.
        LengthTooShort = "length-too-short",
        /// Announces no number.
        LengthGarbage = "length-garbage",
        /// Announces 10 GB, and sends them until the other side has had enough.
        LengthHuge = "length-huge",
        /// Sends up to 10 GB in chunks.
        BodyHuge = "body-huge",
        /// Chunks whose lengths are no numbers.
        ChunksGarbage = "chunks-garbage",
        /// Chunks without the last.
        ChunksUnended = "chunks-unended",
        /// A status line that is none.
        StatusLineGarbage = "status-line-garbage",
        /// One header of a megabyte.
        HeaderHuge = "header-huge",
        /// Ten thousand headers.
        HeadersMany = "headers-many",
        /// A header with bytes that no header may have.
        HeaderGarbage = "header-garbage",
        /// Interim answers without an end.
        ContinueForever = "continue-forever",
        /// Becomes another protocol that nobody asked for.
        SwitchingProtocols = "switching-protocols",
    }
    Response {
        /// A gigabyte in a few kilobytes.
        GzipBomb = "gzip-bomb",
        /// Called gzip, and none.
        GzipGarbage = "gzip-garbage",
        /// Redirects to itself.
        RedirectLoop = "redirect-loop",
        /// Redirects on and on, to another address each time.
        RedirectChain = "redirect-chain",
        /// Redirects to an address of this machine.
        RedirectToLoopback = "redirect-to-loopback",
        /// Redirects to a name of this machine.
        RedirectToLocalhost = "redirect-to-localhost",
        /// Redirects for good, with the same method and body.
        RedirectPermanent = "redirect-permanent",
        /// Redirects to a file.
        RedirectToFile = "redirect-to-file",
        /// Redirects without saying where.
        RedirectNowhere = "redirect-nowhere",
        /// 200 without a body.
        EmptyBody = "empty-body",
        /// 204.
        NoContent = "no-content",
        /// 206, of a body that was asked for whole.
        PartialContent = "partial-content",
        /// 304, to a request that allowed none.
        NotModified = "not-modified",
        /// 400 in the provider's own words.
        BadRequest = "bad-request",
        /// The key is refused, as this provider does.
        KeyRejected = "key-rejected",
        /// 400, with the key in the reason.
        KeyEchoed = "key-echoed",
        /// 402.
        PaymentRequired = "payment-required",
        /// 403 in HTML, of a wall in front of the provider.
        ForbiddenHtml = "forbidden-html",
        /// 404 in HTML.
        NotFoundHtml = "not-found-html",
        /// 405.
        MethodNotAllowed = "method-not-allowed",
        /// 408.
        RequestTimeout = "request-timeout",
        /// 413 in HTML.
        PayloadTooLarge = "payload-too-large",
        /// 422.
        Unprocessable = "unprocessable",
        /// 451.
        LegalReasons = "legal-reasons",
        /// 500 in plain text.
        InternalError = "internal-error",
        /// 502 in HTML.
        BadGateway = "bad-gateway",
        /// 503 with Retry-After.
        Unavailable = "unavailable",
        /// 504 in HTML.
        GatewayTimeout = "gateway-timeout",
        /// 520, which no standard knows.
        UnknownStatus = "unknown-status",
        /// 999, which is no status.
        StatusBeyondAll = "status-beyond-all",
        /// 200 and the page of a network that wants a login.
        CaptivePortal = "captive-portal",
        /// 200 and the provider's own words for a failure.
        OkWithError = "ok-with-error",
        /// 200, and JSON of something else.
        OtherJson = "other-json",
    }
    Answer {
        /// The last third of the body is missing, and the length agrees.
        TruncatedJson = "truncated-json",
        /// Brackets in brackets, 200,000 deep.
        DeepNesting = "deep-nesting",
        /// Each coordinate twice, the first at a pole.
        DuplicateKeys = "duplicate-keys",
        /// `null`.
        NullBody = "null-body",
        /// `{}`, or `[]` for a batch.
        EmptyJson = "empty-json",
        /// An object for an array, and an array for an object.
        WrongContainer = "wrong-container",
        /// Bytes that are no UTF-8.
        InvalidUtf8 = "invalid-utf8",
        /// Two bodies, one after the other.
        TrailingJson = "trailing-json",
        /// The coordinates are NaN.
        NotANumber = "not-a-number",
        /// The coordinates are 1e999.
        Infinite = "infinite",
        /// The coordinates are words.
        WordsForNumbers = "words-for-numbers",
        /// The coordinates are text of numbers, at the other side of the world.
        TextForNumbers = "text-for-numbers",
        /// The coordinates are arrays.
        ArraysForNumbers = "arrays-for-numbers",
        /// The coordinates are 0 and 0.
        NullIsland = "null-island",
        /// Latitude and longitude exchanged.
        Swapped = "swapped",
        /// The other side of the world.
        Antipode = "antipode",
        /// Beyond the poles and the date line.
        OutOfRange = "out-of-range",
        /// The longitude is null.
        HalfCoordinate = "half-coordinate",
        /// The country is another than that of the coordinates.
        WrongCountry = "wrong-country",
        /// A country that there is not.
        UnknownCountry = "unknown-country",
        /// About an address that was not asked.
        OtherAddress = "other-address",
        /// Names with control characters, 100,000 characters long.
        HostileNames = "hostile-names",
        /// A batch without its last items.
        BatchTooShort = "batch-too-short",
        /// A batch with items that nobody asked for.
        BatchTooLong = "batch-too-long",
        /// A batch in another order.
        BatchReordered = "batch-reordered",
        /// A batch with its first item in every place.
        BatchRepeated = "batch-repeated",
        /// A batch in which every second item is null.
        BatchNullItems = "batch-null-items",
        /// A batch in which every second item is a word.
        BatchWordItems = "batch-word-items",
    }
    Quota {
        /// 429 without a word.
        RateLimited = "rate-limited",
        /// 429 as this provider documents it.
        RateLimitedDocumented = "rate-limited-documented",
        /// 429, Retry-After: 2.
        RetryAfterSeconds = "retry-after-seconds",
        /// 429, Retry-After: the date in two seconds.
        RetryAfterDate = "retry-after-date",
        /// 429, Retry-After: a date long past.
        RetryAfterPastDate = "retry-after-past-date",
        /// 429, Retry-After: 0.
        RetryAfterZero = "retry-after-zero",
        /// 429, Retry-After: soon.
        RetryAfterGarbage = "retry-after-garbage",
        /// 429, Retry-After: -5.
        RetryAfterNegative = "retry-after-negative",
        /// 429, Retry-After: more seconds than a machine word holds.
        RetryAfterHuge = "retry-after-huge",
        /// 429, RateLimit-Remaining and RateLimit-Reset.
        RateLimitReset = "rate-limit-reset",
        /// 429, X-Rl: 0, X-Ttl: 2.
        XTtlSeconds = "x-ttl-seconds",
        /// 429, X-Rl: 0, X-Ttl: soon.
        XTtlGarbage = "x-ttl-garbage",
        /// 429, X-Rl: 0, X-Ttl: -1.
        XTtlNegative = "x-ttl-negative",
        /// 200 and the answer, X-Rl: 0 and X-Ttl: 2.
        LastPermit = "last-permit",
        /// 403: banned.
        Banned = "banned",
    }
}

/// A fault that there is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(pub String);

impl Fault {
    /// Whether it can only be seen in answers to a batch; a single answer stays whole under it.
    pub const fn needs_batch(self) -> bool {
        matches!(
            self,
            Self::BatchTooShort
                | Self::BatchTooLong
                | Self::BatchReordered
                | Self::BatchRepeated
                | Self::BatchNullItems
                | Self::BatchWordItems
        )
    }

    /// Whether it only ends when the client gives up waiting.
    pub const fn needs_patience(self) -> bool {
        matches!(
            self,
            Self::HangBeforeHeaders
                | Self::HangInBody
                | Self::DripHeaders
                | Self::DripBody
                | Self::ContinueForever
                | Self::SwitchingProtocols
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|fault| fault.slug() == text)
            .ok_or_else(|| UnknownFault(text.chars().take(64).collect()))
    }
}

impl fmt::Display for UnknownFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no fault `{}`: GET /control lists them", self.0)
    }
}

impl std::error::Error for UnknownFault {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_is_found_by_its_own_name() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.slug()).collect();

        assert_eq!(names.len(), Fault::ALL.len());
        assert!(Fault::ALL.len() >= 48);
        assert!(Fault::ALL.iter().all(|fault| fault.slug().parse() == Ok(*fault)));
        assert!("no-such-fault".parse::<Fault>().is_err());
    }
}
