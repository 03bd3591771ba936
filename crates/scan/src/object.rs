//! One JSON object that a scanner wrote, read without building a tree.
//!
//! Written by hand for two reasons: a general parser refuses what masscan wrote before 2014-09 (keys without
//! quotes) and what wrappers write (commas after the last member), and this one is several times as fast.

mod author;
mod end;
mod value;
mod walker;

pub(crate) use author::Author;
use author::Marks;
pub(crate) use end::EndFinder;
pub(crate) use value::Value;
pub(crate) use walker::Fault;
use walker::Walker;

/// What a record may say, of one object.
#[derive(Default)]
pub(crate) struct Object<'a> {
    address: Option<Value<'a>>,
    /// naabu writes a name there, and the address beside it.
    host: Option<Value<'a>>,
    /// Shodan's, beside the same address as a number.
    ip_str: Option<Value<'a>>,
    pub(crate) timestamp: Option<Value<'a>>,
    pub(crate) timestamp_micros: Option<Value<'a>>,
    pub(crate) success: Option<Value<'a>>,
    pub(crate) classification: Option<Value<'a>>,
    /// What stands at the top (`-oD`, zmap) or in `data`.
    pub(crate) own: Port<'a>,
    pub(crate) ports: Ports<'a>,
    /// What naabu and Shodan found out about the service.
    pub(crate) details: Details<'a>,
    /// masscan's last line until 2018.
    pub(crate) finished: bool,
    /// Whether something was read that is no JSON.
    pub(crate) mended: bool,
    /// The first member whose name or shape is not known.
    pub(crate) strange: Option<&'a [u8]>,
    marks: Marks,
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

/// What tools name a service by.
#[derive(Default)]
pub(crate) struct Details<'a> {
    pub(crate) name: Option<Value<'a>>,
    pub(crate) product: Option<Value<'a>>,
    pub(crate) version: Option<Value<'a>>,
    pub(crate) extra: Option<Value<'a>>,
}

/// The members of `ports`. masscan writes one, and one needs no allocation.
#[derive(Default)]
pub(crate) struct Ports<'a> {
    pub(crate) first: Option<Port<'a>>,
    pub(crate) more: Vec<Port<'a>>,
}

/// Reads the object that `bytes` begins with into `object`, and gives how many bytes it takes. After a fault, `object`
/// holds what came before it.
///
/// It fills and does not answer the object: that is half a kilobyte, and would be copied for each record.
pub(crate) fn read<'a>(bytes: &'a [u8], object: &mut Object<'a>) -> Result<usize, Fault> {
    let mut walker = Walker::new(bytes);
    let mut mended = false;
    walker.members(&mut mended, |walker, key, mended| walker.top_member(key, object, mended))?;
    object.mended = mended;
    Ok(walker.at())
}

impl<'a> Object<'a> {
    /// The text of its address, whichever member says it.
    pub(crate) fn address(&self) -> Option<Value<'a>> {
        self.ip_str.or(self.address).or(self.host)
    }

    /// Whether it names a port.
    pub(crate) fn names_port(&self) -> bool {
        self.own.number.is_some() || self.ports.first.is_some()
    }

    /// Whether it says nothing at all, as far as it was read.
    pub(crate) fn names_nothing(&self) -> bool {
        !self.names_port() && self.strange.is_none()
    }

    /// Which tool wrote it, as far as its members tell.
    pub(crate) fn author(&self) -> Author {
        self.marks.author(self.names_port())
    }
}

impl<'a> Walker<'a> {
    #[expect(clippy::match_same_arms, reason = "keys are compared in turn, and masscan's come first")]
    fn top_member(&mut self, key: &'a [u8], object: &mut Object<'a>, mended: &mut bool) -> Result<(), Fault> {
        // The keys of masscan come first: each record has them, and they are compared one after the other.
        let slot = match key {
            b"ip" => &mut object.address,
            b"timestamp" => &mut object.timestamp,
            b"ports" if self.peek()? == b'[' => {
                object.marks.add(Marks::MASSCAN);
                return self.elements(mended, |walker, mended| {
                    let port = walker.port(mended)?;
                    match object.ports.first {
                        None => object.ports.first = Some(port),
                        Some(_) => object.ports.more.push(port),
                    }
                    Ok(())
                });
            }
            b"port" => match self.peek()? {
                b'{' => {
                    object.marks.add(Marks::NAABU);
                    return self.members(mended, |walker, key, _| walker.naabu_member(key, &mut object.own));
                }
                b'[' => return self.other_member(key, object),
                _ => &mut object.own.number,
            },
            b"proto" => &mut object.own.protocol,
            b"rec_type" => {
                object.marks.add(Marks::MASSCAN_LINE);
                return self.skip_value();
            }
            b"data" => match self.peek()? {
                b'{' => {
                    let (own, marks) = (&mut object.own, &mut object.marks);
                    return self.members(mended, |walker, key, _| walker.inner_member(key, own, marks));
                }
                // What a service said, in the words of Shodan.
                b'"' => &mut object.own.banner,
                b'[' => return self.other_member(key, object),
                _ => return self.skip_value(),
            },
            b"saddr" => {
                object.marks.add(Marks::ZMAP);
                &mut object.address
            }
            b"addr" | b"address" => &mut object.address,
            b"timestamp-ts" | b"timestamp_ts" | b"time" => &mut object.timestamp,
            b"timestamp-str" | b"timestamp_str" if object.timestamp.is_none() => &mut object.timestamp,
            b"timestamp-us" | b"timestamp_us" => &mut object.timestamp_micros,
            b"success" => &mut object.success,
            b"classification" => &mut object.classification,
            b"finished" => {
                object.finished = true;
                return self.skip_value();
            }
            _ => {
                let known = self.port_member(key, &mut object.own, &mut object.marks, mended)?;
                return if known { Ok(()) } else { self.other_member(key, object) };
            }
        };
        self.store(slot)
    }

    /// A member that masscan and zmap never write.
    fn other_member(&mut self, key: &'a [u8], object: &mut Object<'a>) -> Result<(), Fault> {
        object.marks.note(key);
        let slot = match key {
            b"host" => &mut object.host,
            b"ip_str" => &mut object.ip_str,
            b"transport" => &mut object.own.protocol,
            b"name" => &mut object.details.name,
            b"product" => &mut object.details.product,
            b"version" => &mut object.details.version,
            b"extra_info" => &mut object.details.extra,
            b"_shodan" if self.peek()? == b'{' => {
                return self.members(&mut false, |walker, key, _| match key {
                    b"module" => walker.store(&mut object.details.name),
                    _ => walker.skip_value(),
                });
            }
            _ => {
                object.strange.get_or_insert(key);
                return self.skip_value();
            }
        };
        self.store(slot)
    }

    /// An element of `ports`: an object, or the number alone.
    fn port(&mut self, mended: &mut bool) -> Result<Port<'a>, Fault> {
        let mut port = Port::default();
        if self.peek()? == b'{' {
            let mut marks = Marks::default();
            self.members(mended, |walker, key, mended| {
                let known = walker.port_member(key, &mut port, &mut marks, mended)?;
                if known { Ok(()) } else { walker.skip_value() }
            })?;
        } else {
            self.store(&mut port.number)?;
        }
        Ok(port)
    }

    /// Reads a member that says something of a port. False, with nothing read, if it does not.
    fn port_member(
        &mut self,
        key: &'a [u8],
        port: &mut Port<'a>,
        marks: &mut Marks,
        mended: &mut bool,
    ) -> Result<bool, Fault> {
        let slot = match key {
            b"port" | b"sport" if self.peek()? != b'[' => &mut port.number,
            b"proto" | b"protocol" => &mut port.protocol,
            b"status" | b"state" => &mut port.status,
            b"banner" => &mut port.banner,
            b"service" | b"data" if self.peek()? == b'{' => {
                self.members(mended, |walker, key, _| walker.inner_member(key, port, marks))?;
                return Ok(true);
            }
            b"service_name" | b"service" => &mut port.service,
            b"reason" | b"ttl" => {
                self.skip_value()?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.store(slot)?;
        Ok(true)
    }

    /// A member of `data` or `service`, which hold no further objects of ours.
    fn inner_member(&mut self, key: &'a [u8], port: &mut Port<'a>, marks: &mut Marks) -> Result<(), Fault> {
        let slot = match key {
            b"status" | b"state" => &mut port.status,
            b"banner" => &mut port.banner,
            b"service_name" | b"name" => &mut port.service,
            b"reason" | b"ttl" => return self.skip_value(),
            _ if self.peek()? == b'{' => {
                return self.members(&mut false, |walker, key, _| {
                    marks.note_answer(key);
                    walker.skip_value()
                });
            }
            _ => return self.skip_value(),
        };
        self.store(slot)
    }

    /// A member of the object that naabu wrote for a port until 2023.
    fn naabu_member(&mut self, key: &[u8], port: &mut Port<'a>) -> Result<(), Fault> {
        let slot = match key {
            b"Port" | b"port" => &mut port.number,
            b"Protocol" | b"protocol" => &mut port.protocol,
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
        read(text.as_bytes(), &mut Object::default()).err()
    }

    #[test]
    fn every_beginning_of_an_object_is_incomplete() {
        let text = r#"{   "ip": "192.0.2.13",   "ports": [ {"port": 80, "service": {"name": "a\"", "banner": ""}} ], x: [{}] }"#;
        assert_eq!(fault(text), None);
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
        assert_eq!(fault(text.as_ref()), None);
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
            let mut found = Object::default();
            prop_assert_eq!(read(object.as_bytes(), &mut found), Ok(written.len() + 11));
            prop_assert_eq!(found.own.banner.expect("a banner").bytes(), (expected, false));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&[b"{", &bytes[..]].concat(), &mut Object::default());
        }
    }
}
