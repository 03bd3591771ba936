//! Every odd input that scanners, shells and people have made, by name.

#[path = "../common/mod.rs"]
mod common;

mod banners;
mod damage;
mod hostile;
mod masscan;
mod other_scanners;
mod other_tools;
mod shells;
mod times;

const OPEN: &str = r#"{   "ip": "192.0.2.1",   "timestamp": "1795434092", "ports": [ {"port": 80, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] }"#;

fn truncated(input: impl AsRef<[u8]>) -> bool {
    common::read(input).truncated
}
