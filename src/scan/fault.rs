//! Content that makes a worker fail on purpose, only in builds with the feature `test-faults`: the tests show with it
//! that a worker's end is never the daemon's end.
#![forbid(unsafe_code)]

use memchr::memmem;

/// Fails as the first marker in `chunk` says.
#[allow(clippy::panic)]
pub(super) fn strike(chunk: &[u8]) {
    let has = |marker: &[u8]| memmem::find(chunk, marker).is_some();
    if has(b"VFIND-FAULT-ABORT") {
        std::process::abort();
    }
    if has(b"VFIND-FAULT-PANIC") {
        panic!("a fault that a test asked for");
    }
    if has(b"VFIND-FAULT-HANG") {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
    if has(b"VFIND-FAULT-MEMORY") {
        // Touched, so that it is memory and not only address space; far above any limit of a test.
        let hoard: Vec<Vec<u8>> = (0..64).map(|n| vec![n; 256 * 1024 * 1024]).collect();
        std::hint::black_box(hoard);
    }
}
