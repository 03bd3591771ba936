use hostatlas_domain::Protocol;

use crate::ObservedPort;

/// TCP ports on which TLS is spoken from the first byte.
const TLS_PORTS: [u16; 7] = [443, 465, 636, 853, 993, 995, 8443];
/// What masscan calls a banner that came over TLS.
const TLS_BANNERS: [&str; 2] = ["ssl", "X509"];

/// Whether TLS is spoken on a port that was seen, so that it has a certificate to ask for.
#[must_use]
pub fn speaks_tls(seen: &ObservedPort) -> bool {
    seen.protocol == Protocol::Tcp
        && (TLS_PORTS.contains(&seen.port.get())
            || seen.banner.as_ref().is_some_and(|banner| TLS_BANNERS.contains(&banner.service.as_str())))
}

/// What the store knew of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownService {
    /// Whether it was open when it was last seen.
    pub is_open: bool,
    /// When it was seen first, in ms since 1970.
    pub first_seen: i64,
    /// When it was seen last, in ms since 1970.
    pub last_seen: i64,
    /// Whether this import touched it before.
    pub is_touched: bool,
}

/// What a service becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenService {
    /// Whether it is open.
    pub is_open: bool,
    /// When it was seen first, in ms since 1970.
    pub first_seen: i64,
    /// When it was seen last, in ms since 1970.
    pub last_seen: i64,
    /// Whether the banner that was seen takes the place of the one that is stored.
    pub takes_banner: bool,
}

/// What to write about a service that was seen, and whether a known one opened or closed. Nothing where nothing changes.
#[must_use]
pub fn write_service(
    seen: &ObservedPort,
    first_seen: i64,
    last_seen: i64,
    known: Option<&KnownService>,
) -> Option<(WrittenService, bool)> {
    let takes_banner = seen.banner.is_some();
    let Some(known) = known else {
        return seen
            .open
            .then_some((WrittenService { is_open: true, first_seen, last_seen, takes_banner }, false));
    };
    let is_news = last_seen >= known.last_seen;
    let written = WrittenService {
        is_open: if is_news { seen.open } else { known.is_open },
        first_seen: first_seen.min(known.first_seen),
        last_seen: last_seen.max(known.last_seen),
        takes_banner: takes_banner && is_news,
    };
    let flips = written.is_open != known.is_open;
    let changes = flips
        || written.takes_banner
        || !known.is_touched
        || (written.first_seen, written.last_seen) != (known.first_seen, known.last_seen);
    changes.then_some((written, flips))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObservedBanner;

    fn port(open: bool, has_banner: bool) -> ObservedPort {
        let banner =
            has_banner.then(|| ObservedBanner { service: "ssh".to_owned(), bytes: b"SSH-2.0".to_vec() });
        ObservedPort { port: 22.try_into().expect("a port"), protocol: Protocol::Tcp, open, banner }
    }

    const KNOWN: KnownService =
        KnownService { is_open: true, first_seen: 100, last_seen: 200, is_touched: true };

    #[test]
    fn a_closed_port_makes_no_service() {
        assert_eq!(write_service(&port(false, false), 1, 2, None), None);
    }

    #[test]
    fn a_closed_port_closes_a_known_service_and_that_is_a_change() {
        let closed = WrittenService { is_open: false, first_seen: 100, last_seen: 300, takes_banner: false };
        assert_eq!(write_service(&port(false, false), 300, 300, Some(&KNOWN)), Some((closed, true)));
    }

    #[test]
    fn what_is_older_widens_the_times_and_nothing_else() {
        let widened = WrittenService { is_open: true, first_seen: 50, last_seen: 200, takes_banner: false };
        assert_eq!(write_service(&port(false, true), 50, 60, Some(&KNOWN)), Some((widened, false)));
    }

    #[test]
    fn what_this_import_said_before_changes_nothing() {
        assert_eq!(write_service(&port(true, false), 100, 200, Some(&KNOWN)), None);
    }

    #[test]
    fn an_import_that_sees_a_service_for_the_first_time_is_noted() {
        let known = KnownService { is_touched: false, ..KNOWN };
        let same = WrittenService { is_open: true, first_seen: 100, last_seen: 200, takes_banner: false };
        assert_eq!(write_service(&port(true, false), 100, 200, Some(&known)), Some((same, false)));
    }
}
