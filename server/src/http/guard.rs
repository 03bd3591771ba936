//! Who may call: only under a known name, and only our own pages may change things.
//!
//! The server has no accounts yet and listens on loopback alone, so the attacker is another web page in the operator's
//! browser: one that rebinds its own name to 127.0.0.1, or one that posts a form to us.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hostatlas_domain::{ProblemCode, sanitize};

use super::errors::Refusal;

/// Names under which a browser may call, in lower case and without ports.
#[derive(Clone, Debug)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// The names as configured, and the address that is listened on: it is loopback, and no name server can give it.
    pub fn new(names: &[String], listen: SocketAddr) -> Self {
        let own = host_of(&listen.to_string()).to_owned();
        Self(names.iter().cloned().chain([own]).collect())
    }

    fn permits(&self, authority: &str) -> bool {
        let host = host_of(authority).to_ascii_lowercase();
        self.0.contains(&host)
    }
}

/// The host of `host:port`, brackets of an IPv6 address included.
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && (!host.contains(':') || host.starts_with('[')) => host,
        _ => authority,
    }
}

/// Refuses foreign Hosts, and foreign Origins where something would change.
pub async fn check(State(allowed): State<Arc<AllowedHosts>>, request: Request, next: Next) -> Response {
    let refusal = check_host(&allowed, &request)
        .and_then(|()| check_origin(&allowed, request.method(), request.headers()));
    match refusal {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check_host(allowed: &AllowedHosts, request: &Request) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let from_header = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_some() {
        return Err(Refusal::invalid("the request has two Host headers", "send one"));
    }
    // An absolute request line names the host as well; the two must not contradict each other.
    let from_line = request.uri().authority().map(http::uri::Authority::as_str);
    let Some(host) = from_header.or(from_line) else {
        return Err(Refusal::invalid("the request has no Host header", "send a Host header"));
    };
    match [Some(host), from_line].into_iter().flatten().find(|host| !allowed.permits(host)) {
        None => Ok(()),
        Some(foreign) => Err(Refusal::new(
            ProblemCode::Forbidden,
            format!("this server does not answer to the name `{}`", sanitize(host_of(foreign), 100)),
            Some("name it in HOSTATLAS_ALLOWED_HOSTS if it is a proxy or a tunnel of yours"),
        )),
    }
}

fn check_origin(allowed: &AllowedHosts, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let refused = || {
        Refusal::new(
            ProblemCode::Forbidden,
            "the request comes from another web site",
            Some("use the pages of this server, or send no Origin header from a script"),
        )
    };
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // Browsers say it themselves, ports included, and no page can forge it.
    if text(HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| !matches!(site, "same-origin" | "none"))
    {
        return Err(refused());
    }
    // A script that sends neither header has no browser's rights to abuse: there is no cookie.
    let Some(sender) = text(header::ORIGIN).or_else(|| text(header::REFERER)) else { return Ok(()) };
    let host = sender.parse::<http::Uri>().ok().and_then(|uri| {
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        uri.authority().filter(|_| web).map(|authority| authority.as_str().to_owned())
    });
    match host {
        Some(host) if !host.contains('@') && allowed.permits(&host) => Ok(()),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_without_its_port() {
        assert_eq!(
            ["localhost:3000", "localhost", "[::1]:3000", "[::1]", "127.0.0.1:80"].map(host_of),
            ["localhost", "localhost", "[::1]", "[::1]", "127.0.0.1"]
        );
    }

    fn origin_is_taken(name: &'static str, value: &str) -> bool {
        let allowed = AllowedHosts::new(&["localhost".to_owned()], SocketAddr::from(([127, 0, 0, 1], 3000)));
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().expect("a header"))]);
        check_origin(&allowed, &Method::POST, &headers).is_ok()
    }

    #[test]
    fn only_our_own_pages_may_change_things() {
        let own = ["http://localhost:3000", "http://127.0.0.1:9", "https://LOCALHOST"];
        let foreign = [
            "http://evil.example",
            "null",
            "",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://evil@localhost",
        ];
        assert!(own.iter().all(|origin| origin_is_taken("origin", origin)));
        for origin in foreign {
            assert!(!origin_is_taken("origin", origin), "{origin}");
        }
        assert!(origin_is_taken("referer", "http://localhost:3000/hosts?q=x"));
        assert!(!origin_is_taken("referer", "http://evil.example/"));
        assert!(
            !origin_is_taken("sec-fetch-site", "same-site")
                && !origin_is_taken("sec-fetch-site", "cross-site")
        );
        assert!(origin_is_taken("sec-fetch-site", "same-origin"));
    }
}
