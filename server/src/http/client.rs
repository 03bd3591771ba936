//! Who calls, so that nobody takes the share of all.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A household or a machine has this much of IPv6, and any address in it.
const CLIENT_BITS: u32 = 64;

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// One client: an address of IPv4, or a network of IPv6.
///
/// The peer is always a program of this machine. Where it is a proxy, its client is the last entry of `X-Forwarded-For`:
/// the only one that the proxy wrote itself. A proxy that writes none is one client, and so are all behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    fn of(peer: IpAddr, headers: &HeaderMap) -> Self {
        let named = headers.get_all(FORWARDED_FOR).iter().next_back();
        let last = named.and_then(|value| value.to_str().ok()).and_then(|value| value.rsplit(',').next());
        Self::network(last.and_then(address).unwrap_or(peer))
    }

    #[cfg(test)]
    pub(super) fn numbered(number: u8) -> Self {
        Self(IpAddr::from([192, 0, 2, number]))
    }

    fn network(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - CLIENT_BITS))))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// Proxies write `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:1234`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse()
        .ok()
        .or_else(bare)
        .or_else(|| text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()))
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer =
            parts.extensions.get().map_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), |Peer(peer)| *peer);
        Ok(Self::of(peer, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(forwarded: &[&str]) -> String {
        let headers =
            forwarded.iter().map(|value| (FORWARDED_FOR, value.parse().expect("a header"))).collect();
        Client::of(IpAddr::from([127, 0, 0, 1]), &headers).0.to_string()
    }

    #[test]
    fn a_client_is_what_the_nearest_proxy_wrote() {
        let forwarded: [&[&str]; 8] = [
            &[],
            &["192.0.2.1"],
            &["203.0.113.9, 192.0.2.1"],
            &["203.0.113.9", "192.0.2.1:4711"],
            &["unknown"],
            &["2001:db8:1:2:3::4"],
            &["[2001:db8:1:2::5]:443"],
            &["::ffff:192.0.2.1"],
        ];
        assert_eq!(
            forwarded.map(client),
            [
                "127.0.0.1",
                "192.0.2.1",
                "192.0.2.1",
                "192.0.2.1",
                "127.0.0.1",
                "2001:db8:1:2::",
                "2001:db8:1:2::",
                "192.0.2.1"
            ]
        );
    }
}
