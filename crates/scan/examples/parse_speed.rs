//! How fast each format is read, as JSON: `cargo run --release -p hostatlas-scan --example parse_speed [LINES]`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::Ipv4Addr,
    time::Instant,
};

use hostatlas_scan::ScanReader;

const DEFAULT_LINES: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lines = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => DEFAULT_LINES,
    };
    let mut out = io::stdout().lock();
    for (name, line) in
        [("ndjson", ndjson as fn(&mut String, Ipv4Addr)), ("json", json), ("list", list), ("xml", xml)]
    {
        let mut input = String::new();
        if name == "xml" {
            input.push_str("<nmaprun scanner=\"masscan\">\n");
        }
        for number in 0..lines {
            // An odd multiplier visits every address once, in an order as random as masscan's.
            line(&mut input, Ipv4Addr::from(number.wrapping_mul(2_654_435_761)));
        }
        let mut rates = Vec::new();
        for _ in 0..3 {
            let began = Instant::now();
            let mut reader = ScanReader::new(input.as_bytes(), None)?;
            let mut records = 0_u32;
            while reader.next_record()?.is_some() {
                records += 1;
            }
            assert_eq!(records, lines, "{name}");
            rates.push(f64::from(lines) / began.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        let (rate, bytes) = (rates[1], input.len());
        writeln!(
            out,
            "{{\"format\":\"{name}\",\"lines\":{lines},\"bytes\":{bytes},\"lines_per_second\":{rate:.0},\"nanoseconds_per_line\":{:.0}}}",
            1e9 / rate
        )?;
    }
    Ok(())
}

fn ndjson(input: &mut String, address: Ipv4Addr) {
    let _ = writeln!(
        input,
        "{{\"ip\":\"{address}\",\"timestamp\":\"1795434112\",\"port\":443,\"proto\":\"tcp\",\"rec_type\":\"status\",\"data\":{{\"status\":\"open\",\"reason\":\"syn-ack\",\"ttl\":64}}}}"
    );
}

fn json(input: &mut String, address: Ipv4Addr) {
    let _ = writeln!(
        input,
        "{{   \"ip\": \"{address}\",   \"timestamp\": \"1795434092\", \"ports\": [ {{\"port\": 443, \"proto\": \"tcp\", \"status\": \"open\", \"reason\": \"syn-ack\", \"ttl\": 64}} ] }}\n,"
    );
}

fn list(input: &mut String, address: Ipv4Addr) {
    let _ = writeln!(input, "open tcp 443 {address} 1795434087");
}

fn xml(input: &mut String, address: Ipv4Addr) {
    let _ = writeln!(
        input,
        "<host endtime=\"1795434098\"><address addr=\"{address}\" addrtype=\"ipv4\"/><ports><port protocol=\"tcp\" portid=\"443\"><state state=\"open\" reason=\"syn-ack\" reason_ttl=\"64\"/></port></ports></host>"
    );
}
