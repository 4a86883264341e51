//! The numbers by which the operating system says why it does not let a file be read, and what each is on the wire.
#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Fault;

/// An error number of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Errno(pub i32);

impl Errno {
    /// The number inside `error`, or EIO for an error that is not the system's own.
    pub fn of(error: &std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(5))
    }

    /// The name; `None` for a number outside the table.
    pub fn name(self) -> Option<&'static str> {
        ERRNOS
            .iter()
            .find(|(number, _, _)| *number == self.0)
            .map(|(_, name, _)| *name)
    }

    pub(super) fn fault(self) -> Fault {
        ERRNOS
            .iter()
            .find(|(number, _, _)| *number == self.0)
            .map_or(Fault::Internal, |(_, _, fault)| *fault)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "E{}", self.0),
        }
    }
}

/// Linux's numbers and the SVSP error that each becomes (spec-vfind.md §1.6): what files, disks, network file systems, /proc
/// and /sys answer. What is not known to pass, or to be about the name, is `EFAULT`.
const ERRNOS: &[(i32, &str, Fault)] = &[
    (1, "EPERM", Fault::Access),
    (2, "ENOENT", Fault::NoEntry),
    (3, "ESRCH", Fault::Internal),
    (4, "EINTR", Fault::Internal),
    (5, "EIO", Fault::Internal),
    (6, "ENXIO", Fault::NotSupported),
    (7, "E2BIG", Fault::Internal),
    (9, "EBADF", Fault::Internal),
    (11, "EAGAIN", Fault::Again),
    (12, "ENOMEM", Fault::Again),
    (13, "EACCES", Fault::Access),
    (14, "EFAULT", Fault::Internal),
    (16, "EBUSY", Fault::Again),
    (18, "EXDEV", Fault::Internal),
    (19, "ENODEV", Fault::Internal),
    (20, "ENOTDIR", Fault::NoEntry),
    (21, "EISDIR", Fault::NotSupported),
    (22, "EINVAL", Fault::Internal),
    (23, "ENFILE", Fault::Again),
    (24, "EMFILE", Fault::Again),
    (25, "ENOTTY", Fault::Internal),
    (26, "ETXTBSY", Fault::Again),
    (27, "EFBIG", Fault::Internal),
    (28, "ENOSPC", Fault::Again),
    (29, "ESPIPE", Fault::Internal),
    (30, "EROFS", Fault::Internal),
    (32, "EPIPE", Fault::Internal),
    (34, "ERANGE", Fault::Internal),
    (36, "ENAMETOOLONG", Fault::NoEntry),
    (37, "ENOLCK", Fault::Internal),
    (38, "ENOSYS", Fault::Internal),
    (40, "ELOOP", Fault::NoEntry),
    (61, "ENODATA", Fault::Again),
    (62, "ETIME", Fault::Internal),
    (64, "ENONET", Fault::Internal),
    (66, "EREMOTE", Fault::Internal),
    (67, "ENOLINK", Fault::Internal),
    (70, "ECOMM", Fault::Internal),
    (71, "EPROTO", Fault::Internal),
    (74, "EBADMSG", Fault::Internal),
    (75, "EOVERFLOW", Fault::Internal),
    (84, "EILSEQ", Fault::Internal),
    (90, "EMSGSIZE", Fault::Internal),
    (93, "EPROTONOSUPPORT", Fault::Internal),
    (95, "EOPNOTSUPP", Fault::Internal),
    (99, "EADDRNOTAVAIL", Fault::Internal),
    (100, "ENETDOWN", Fault::Internal),
    (101, "ENETUNREACH", Fault::Internal),
    (102, "ENETRESET", Fault::Internal),
    (103, "ECONNABORTED", Fault::Again),
    (104, "ECONNRESET", Fault::Again),
    (105, "ENOBUFS", Fault::Internal),
    (107, "ENOTCONN", Fault::Internal),
    (108, "ESHUTDOWN", Fault::Internal),
    (110, "ETIMEDOUT", Fault::Again),
    (111, "ECONNREFUSED", Fault::Internal),
    (112, "EHOSTDOWN", Fault::Internal),
    (113, "EHOSTUNREACH", Fault::Internal),
    (116, "ESTALE", Fault::NoEntry),
    (117, "EUCLEAN", Fault::Internal),
    (121, "EREMOTEIO", Fault::Internal),
    (122, "EDQUOT", Fault::Internal),
    (123, "ENOMEDIUM", Fault::Internal),
    (124, "EMEDIUMTYPE", Fault::Internal),
    (125, "ECANCELED", Fault::Internal),
    (126, "ENOKEY", Fault::Internal),
    (127, "EKEYEXPIRED", Fault::Internal),
    (128, "EKEYREVOKED", Fault::Internal),
    (129, "EKEYREJECTED", Fault::Internal),
    (133, "EHWPOISON", Fault::Internal),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_named_once_as_the_system_does() {
        assert!(ERRNOS.is_sorted_by(|(before, ..), (after, ..)| before < after));
        macro_rules! theirs {
            ($($name:ident)*) => {
                [$((rustix::io::Errno::$name, concat!("E", stringify!($name)))),*]
            };
        }
        // E2BIG and EACCES have other names there.
        let theirs = theirs![
            PERM NOENT SRCH INTR IO NXIO BADF AGAIN NOMEM FAULT BUSY XDEV NODEV
            NOTDIR ISDIR INVAL NFILE MFILE NOTTY TXTBSY FBIG NOSPC SPIPE ROFS
            PIPE RANGE NAMETOOLONG NOLCK NOSYS LOOP NODATA TIME NONET REMOTE
            NOLINK COMM PROTO BADMSG OVERFLOW ILSEQ MSGSIZE PROTONOSUPPORT
            OPNOTSUPP ADDRNOTAVAIL NETDOWN NETUNREACH NETRESET CONNABORTED
            CONNRESET NOBUFS NOTCONN SHUTDOWN TIMEDOUT CONNREFUSED HOSTDOWN
            HOSTUNREACH STALE UCLEAN REMOTEIO DQUOT NOMEDIUM MEDIUMTYPE CANCELED
            NOKEY KEYEXPIRED KEYREVOKED KEYREJECTED HWPOISON
        ];
        for (number, name) in theirs {
            assert_eq!(Errno(number.raw_os_error()).name(), Some(name));
        }
        assert_eq!(theirs.len() + 2, ERRNOS.len());
    }
}
