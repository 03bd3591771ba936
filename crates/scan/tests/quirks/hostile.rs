//! Bytes that nobody wrote on purpose.

use hostatlas_domain::ScanFormat;
use hostatlas_scan::{Record, ScanReader};
use proptest::prelude::*;

use crate::{
    OPEN,
    common::{read, sample},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic_in_any_format(bytes: Vec<u8>, number in 0..ScanFormat::ALL.len()) {
        if let Ok(mut reader) = ScanReader::new(&bytes[..], Some(ScanFormat::ALL[number])) {
            while let Ok(Some(_)) = reader.next_record() {}
        }
        if let Ok(mut reader) = ScanReader::new(&bytes[..], None) {
            while let Ok(Some(_)) = reader.next_record() {}
        }
    }

    #[test]
    fn a_spoilt_sample_never_panics_and_ends(
        number in 0_usize..10,
        spoils in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let names = ["v6.bin", "v6.json", "v6.ndjson", "v6.list", "v6.xml", "v6.gnmap", "nmap.xml", "nmap.gnmap", "zmap.csv", "zmap.json"];
        let mut bytes = sample(names[number]);
        for (index, byte) in spoils {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut reader) = ScanReader::new(&bytes[..], None) {
            let mut records = 0;
            while let Ok(Some(_)) = reader.next_record() {
                records += 1;
            }
            prop_assert!(records <= bytes.len());
        }
    }

    #[test]
    fn arbitrary_lines_between_good_ones_lose_none_of_them(junk in "[^\\n{}\\[\\]]{0,40}") {
        let input = format!("{OPEN}\n{junk}\n{OPEN}\n");
        let good = read(&input).records.iter().filter(|record| matches!(record, Record::Sighting { .. })).count();
        prop_assert_eq!(good, 2);
    }
}
