//! One JSON object that a scanner wrote, read without building a tree.
//!
//! Written by hand for two reasons: a general parser refuses what masscan wrote before 2014-09 (keys without
//! quotes) and what wrappers write (commas after the last member), and this one is several times as fast.

mod end;
mod value;
mod walker;

pub(crate) use end::EndFinder;
pub(crate) use value::Value;
pub(crate) use walker::Fault;
use walker::Walker;

/// What a record may say, of one object.
#[derive(Default)]
pub(crate) struct Object<'a> {
    pub(crate) address: Option<Value<'a>>,
    pub(crate) timestamp: Option<Value<'a>>,
    pub(crate) timestamp_micros: Option<Value<'a>>,
    pub(crate) success: Option<Value<'a>>,
    pub(crate) classification: Option<Value<'a>>,
    /// What stands at the top (`-oD`, zmap) or in `data`.
    pub(crate) own: Port<'a>,
    pub(crate) ports: Ports<'a>,
    /// masscan's last line until 2018.
    pub(crate) finished: bool,
    /// Whether something was read that is no JSON.
    pub(crate) mended: bool,
}

/// What a record says of one port.
#[derive(Clone, Copy, Default)]
pub(crate) struct Port<'a> {
    pub(crate) number: Option<Value<'a>>,
    pub(crate) protocol: Option<Value<'a>>,
    pub(crate) status: Option<Value<'a>>,
    pub(crate) service: Option<Value<'a>>,
    pub(crate) banner: Option<Value<'a>>,
}

/// The members of `ports`. masscan writes one, and one needs no allocation.
#[derive(Default)]
pub(crate) struct Ports<'a> {
    pub(crate) first: Option<Port<'a>>,
    pub(crate) more: Vec<Port<'a>>,
}

/// Reads the object that `bytes` begins with. Also gives how many bytes it takes.
pub(crate) fn read(bytes: &[u8]) -> Result<(Object<'_>, usize), Fault> {
    let mut walker = Walker::new(bytes);
    let mut object = Object::default();
    let mut mended = false;
    walker.members(&mut mended, |walker, key, mended| walker.top_member(key, &mut object, mended))?;
    object.mended = mended;
    Ok((object, walker.at()))
}

impl<'a> Walker<'a> {
    fn top_member(&mut self, key: &[u8], object: &mut Object<'a>, mended: &mut bool) -> Result<(), Fault> {
        let slot = match key {
            b"ip" | b"saddr" | b"addr" | b"address" | b"host" => &mut object.address,
            b"timestamp" | b"timestamp-ts" | b"timestamp_ts" | b"time" => &mut object.timestamp,
            b"timestamp-str" | b"timestamp_str" if object.timestamp.is_none() => &mut object.timestamp,
            b"timestamp-us" | b"timestamp_us" => &mut object.timestamp_micros,
            b"success" => &mut object.success,
            b"classification" => &mut object.classification,
            b"finished" => {
                object.finished = true;
                return self.skip_value();
            }
            b"ports" if self.peek()? == b'[' => {
                return self.elements(mended, |walker, mended| {
                    let port = walker.port(mended)?;
                    match object.ports.first {
                        None => object.ports.first = Some(port),
                        Some(_) => object.ports.more.push(port),
                    }
                    Ok(())
                });
            }
            _ => return self.port_member(key, &mut object.own, mended),
        };
        self.store(slot)
    }

    /// An element of `ports`: an object, or the number alone.
    fn port(&mut self, mended: &mut bool) -> Result<Port<'a>, Fault> {
        let mut port = Port::default();
        if self.peek()? == b'{' {
            self.members(mended, |walker, key, mended| walker.port_member(key, &mut port, mended))?;
        } else {
            self.store(&mut port.number)?;
        }
        Ok(port)
    }

    fn port_member(&mut self, key: &[u8], port: &mut Port<'a>, mended: &mut bool) -> Result<(), Fault> {
        let slot = match key {
            b"port" | b"sport" => &mut port.number,
            b"proto" | b"protocol" => &mut port.protocol,
            b"status" | b"state" => &mut port.status,
            b"banner" => &mut port.banner,
            b"service" | b"data" if self.peek()? == b'{' => {
                return self.members(mended, |walker, key, _| walker.inner_member(key, port));
            }
            b"service_name" | b"service" => &mut port.service,
            _ => return self.skip_value(),
        };
        self.store(slot)
    }

    /// A member of `data` or `service`, which hold no further objects of ours.
    fn inner_member(&mut self, key: &[u8], port: &mut Port<'a>) -> Result<(), Fault> {
        let slot = match key {
            b"status" | b"state" => &mut port.status,
            b"banner" => &mut port.banner,
            b"service_name" | b"name" => &mut port.service,
            _ => return self.skip_value(),
        };
        self.store(slot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        read(text.as_bytes()).err()
    }

    #[test]
    fn every_beginning_of_an_object_is_incomplete() {
        let text = r#"{   "ip": "192.0.2.13",   "ports": [ {"port": 80, "service": {"name": "a\"", "banner": ""}} ], x: [{}] }"#;
        assert!(read(text.as_bytes()).is_ok());
        for length in 1..text.len() {
            assert_eq!(fault(&text[..length]), Some(Fault::Incomplete), "{}", &text[..length]);
        }
    }

    #[test]
    fn what_is_no_object_is_a_syntax_fault() {
        for text in
            [r#"{"ip" "1"}"#, r#"{"a":}"#, r#"{"a":1 "b":2}"#, "{,}", r#"{"ports":[1 2]}"#, r#"{"a":'x'}"#]
        {
            assert!(matches!(fault(text), Some(Fault::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let text = format!("{{\"x\":{}1{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(read(text.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn text_is_read_as_serde_reads_it(text: String) {
            let written = serde_json::to_string(&text).expect("a string");
            let expected: Vec<u8> = match text.chars().map(|c| u8::try_from(u32::from(c))).collect() {
                Ok(bytes) => bytes,
                Err(_) => text.into_bytes(),
            };
            let object = format!("{{\"banner\":{written}}}");
            let (object, length) = read(object.as_bytes()).expect("an object");
            prop_assert_eq!(length, written.len() + 11);
            prop_assert_eq!(object.own.banner.expect("a banner").bytes(), (expected, false));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&[b"{", &bytes[..]].concat());
        }
    }
}
