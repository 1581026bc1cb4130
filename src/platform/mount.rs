//! Checks whether a folder lies on a network file system: another machine may write there without
//! this kernel's knowledge.
//!
//! It knows nothing of the folder's content.

use std::path::Path;

/// Returns the kind of network file system that `path` lies on, for a person. `None` for a local
/// one, where the system doesn't say, and for a path that can't be reached.
#[cfg(target_os = "linux")]
pub(crate) fn network(path: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(path).ok()?;
    // The type of the number differs between machines; all kinds fit into 32 bits.
    of_magic(found.f_type as u32)
}

/// Returns the kind of network file system that `path` lies on, for a person. `None` for a local
/// one, where the system doesn't say, and for a path that can't be reached.
#[cfg(target_os = "macos")]
pub(crate) fn network(path: &Path) -> Option<&'static str> {
    /// The file system is stored on this machine (`MNT_LOCAL`, sys/mount.h).
    const LOCAL: u32 = 0x1000;
    let found = rustix::fs::statfs(path).ok()?;
    let name: Vec<u8> = found.f_fstypename.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    (found.f_flags & LOCAL == 0).then(|| of_name(&name))
}

/// Returns the kind of network file system that `path` lies on, for a person. `None` for a local
/// one and for a path that can't be reached. The real path of a drive that stands for a share is the
/// share's.
#[cfg(windows)]
pub(crate) fn network(path: &Path) -> Option<&'static str> {
    match path.canonicalize().ok()?.components().next()? {
        std::path::Component::Prefix(prefix) => of_prefix(prefix.kind()),
        _ => None,
    }
}

/// Returns the kind for the name that macOS has for a file system of another machine.
#[cfg(any(target_os = "macos", test))]
fn of_name(name: &[u8]) -> &'static str {
    match name {
        b"nfs" => "NFS",
        b"smbfs" => "SMB",
        b"afpfs" => "AFP",
        b"webdav" => "WebDAV",
        _ => "of another machine",
    }
}

/// Returns the kind for the beginning of a real path on Windows. The files of a Linux on the same
/// machine (WSL) are on a share too, which tells of no changes at all.
#[cfg(any(windows, test))]
fn of_prefix(prefix: std::path::Prefix<'_>) -> Option<&'static str> {
    use std::path::Prefix;

    let (Prefix::UNC(server, _) | Prefix::VerbatimUNC(server, _)) = prefix else { return None };
    let is_linux = server.eq_ignore_ascii_case("wsl$") || server.eq_ignore_ascii_case("wsl.localhost");
    Some(if is_linux { "WSL" } else { "SMB" })
}

/// Returns the kind for a number of `statfs(2)` and linux/magic.h. FUSE is among them because of
/// sshfs, rclone and the folders that virtual machines share; a local one only costs polling.
#[cfg(target_os = "linux")]
fn of_magic(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "SMB",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9p",
        0x00c3_6400 => "Ceph",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x0bd0_0bd0 => "Lustre",
        0x786f_4256 => "a VirtualBox folder",
        0xbacb_acbc => "a VMware folder",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_folder_is_not_on_a_network() {
        assert_eq!(network(Path::new("/proc")), None);
        assert_eq!(network(Path::new("/nowhere/at/all")), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_recognized_by_their_numbers() {
        assert_eq!(of_magic(0x6969), Some("NFS"));
        assert_eq!(of_magic(0xff53_4d42), Some("SMB"));
        // ext4 and overlayfs.
        assert_eq!(of_magic(0xef53), None);
        assert_eq!(of_magic(0x794c_7630), None);
    }

    #[test]
    fn shares_of_windows_and_macos_are_recognized_by_their_names() {
        use std::path::Prefix;

        let check = |prefix, expected| assert_eq!(of_prefix(prefix), expected);
        check(Prefix::VerbatimUNC("nas".as_ref(), "games".as_ref()), Some("SMB"));
        check(Prefix::UNC("WSL.localhost".as_ref(), "Debian".as_ref()), Some("WSL"));
        check(Prefix::VerbatimUNC("wsl$".as_ref(), "Debian".as_ref()), Some("WSL"));
        check(Prefix::VerbatimDisk(b'C'), None);
        check(Prefix::Disk(b'C'), None);
        assert_eq!((of_name(b"smbfs"), of_name(b"afpfs"), of_name(b"nfs")), ("SMB", "AFP", "NFS"));
    }
}
