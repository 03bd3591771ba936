use std::io;

/// Why no (further) record can be read. A bad line is a [`crate::Record`] and not an error.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Nothing in the input is scan output. `looked_like` completes "it looks like".
    #[error(
        "this is no scan output: it looks like {looked_like}. \
         Known are masscan's -oJ, -oD, -oL, -oX, -oG, -oB, -oU and its screen output, nmap's -oX and -oG, \
         zmap's CSV and JSON, naabu's CSV and JSON, rustscan's -g, Shodan's JSON lines, and plain lists of addresses; each may be compressed with gzip or zstd"
    )]
    NotAScan {
        /// What the input looks like, such as `a zip archive`.
        looked_like: String,
    },

    /// The input could not be read.
    #[error("the input could not be read")]
    Read(#[source] io::Error),

    /// The compressed data is damaged in its middle; what was read before it is sound.
    #[error("the compressed data is damaged")]
    Damaged(#[source] io::Error),
}
