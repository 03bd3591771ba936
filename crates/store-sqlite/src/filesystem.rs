//! Which file systems can hold a database that several processes share.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// File systems over a network: their locks do not hold, or not everywhere, and a shared-memory index cannot work.
const OVER_A_NETWORK: [&str; 17] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "gfs2",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
];

/// So many links follow each other at most before the system refuses them, too.
const MOST_LINKS: usize = 40;

/// What the system says of its mounts; nothing where it does not say.
pub(crate) fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// The network file system that `directory` is on by `mounts`, if it is on one.
pub(crate) fn network_file_system(directory: &Path, mounts: &str) -> Option<String> {
    let directory = fs::canonicalize(directory).ok()?;
    let kind = file_system_of(&directory, mounts)?;
    OVER_A_NETWORK.contains(&kind).then(|| kind.to_owned())
}

/// The file that a symbolic link leads to, which need not be there; `path` itself if it is none. What stands beside a
/// database, its locks and its log, stands beside this one, by whatever name it is opened.
pub(crate) fn follow(path: PathBuf) -> PathBuf {
    let mut path = path;
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    path
}

/// The type of the file system that is mounted nearest above `directory`.
fn file_system_of<'mounts>(directory: &Path, mounts: &'mounts str) -> Option<&'mounts str> {
    let mut nearest: Option<(usize, &str)> = None;
    for mount in mounts.lines() {
        let Some((before, after)) = mount.split_once(" - ") else { continue };
        let (Some(point), Some(kind)) = (before.split(' ').nth(4), after.split(' ').next()) else { continue };
        let point = unescape(point);
        let depth = Path::new(&point).components().count();
        // The later of two mounts on one point hides the earlier.
        if directory.starts_with(&point) && nearest.is_none_or(|(known, _)| depth >= known) {
            nearest = Some((depth, kind));
        }
    }
    nearest.map(|(_, kind)| kind)
}

/// The kernel writes blanks in mount points as three octal digits.
fn unescape(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(point.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /srv/scan\\040data rw,relatime shared:9 - nfs4 server:/export rw,vers=4.2
31 22 0:41 / /srv/scan rw,relatime - tmpfs tmpfs rw";

    #[test]
    fn the_nearest_mount_above_a_directory_tells_its_file_system() {
        let kinds = ["/srv/scan data/today", "/srv/scan/today", "/srv/scans", "/"]
            .map(|directory| file_system_of(Path::new(directory), MOUNTS));
        assert_eq!(kinds, [Some("nfs4"), Some("tmpfs"), Some("ext4"), Some("ext4")]);
    }
}
