//! amavisd-new from Debian as it meets us: with its stock entry for `vfind`, and with an entry for the daemon.
//!
//! The test is the script tests/amavis/run, which can also be run by hand.

use std::path::Path;
use std::process::Command;

use crate::support::has_tools;

#[test]
fn amavisd_blocks_what_is_infected_and_passes_what_is_clean() {
    let stock = "/etc/amavis/conf.d/15-av_scanners";
    if !has_tools(&["/usr/sbin/amavisd", stock, "bash", "python3", "timeout"]) {
        return;
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_vfindd")).parent().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/amavis/run");
    let output = Command::new("timeout")
        .args(["--kill-after=10", "300"])
        .arg(script)
        .arg(programs)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{log}");
    assert!(text.ends_with("amavis: done\n"), "{text}");
}
