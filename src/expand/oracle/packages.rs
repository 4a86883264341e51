//! Packages of Debian and of RPM: an archive of the files, and one or a header of what is to be done with them.
#![forbid(unsafe_code)]

use super::{opened, shell};
use crate::expand::testing::{assert_holds, tool, tree};

#[test]
fn a_tree_in_a_debian_package() {
    for (seed, method) in ["gzip", "xz", "zstd", "none"].iter().enumerate() {
        let Some(folder) = tool("dpkg-deb") else {
            return;
        };
        let packed = tree(&folder, 70 + seed as u64).into_iter();
        let mut files: Vec<_> = packed
            .map(|(name, content)| (format!("./{name}"), content))
            .collect();
        let control = [
            (
                "control",
                "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n",
            ),
            ("postinst", "#!/bin/sh\nexit 0\n"),
            ("md5sums", ""),
        ];
        folder.run("mkdir", &["p"]);
        folder.run("mv", &["tree", "p"]);
        for (name, content) in control {
            folder.write(&format!("p/DEBIAN/{name}"), content.as_bytes());
            files.push((format!("./{name}"), content.into()));
        }
        files.push(("debian-binary".to_owned(), b"2.0\n".to_vec()));
        files.sort();
        folder.run("chmod", &["0755", "p/DEBIAN", "p/DEBIAN/postinst"]);
        for more in ["--uniform-compression", "--no-uniform-compression"] {
            let make = format!("dpkg-deb -Z{method} {more} -b p $out");
            println!("{make}");
            shell(&folder, "o.deb", &make);
            assert_holds(&opened(&folder.read("o.deb"), "o.deb"), &files);
            let listed = shell(
                &folder,
                "o.deb",
                "dpkg-deb --fsys-tarfile $out | tar --quoting-style=literal -t
                 dpkg-deb --ctrl-tarfile $out | tar --quoting-style=literal -t; ar t $out",
            );
            for (name, _) in &files {
                assert!(listed.lines().any(|line| line == name), "{name}: {listed}");
            }
        }
    }
}

/// Builds the tree as it is: nothing is to be stripped or compressed before.
const SPEC: &str = "Name: sample\nVersion: 1.0\nRelease: 2\nSummary: s\nLicense: none\nBuildArch: noarch\nSource0: x.source\n\
    %define __os_install_post %{nil}\n%description\nd\n%install\nmkdir -p %{buildroot}\ncp -a %{top}/tree %{buildroot}/\n%files\n/tree\n";

#[test]
fn a_tree_in_an_rpm_package() {
    let payloads = [
        "w9.gzdio",
        "w9.bzdio",
        "w6.xzdio",
        "w6.lzdio",
        "w3.zstdio",
        "w0.ufdio",
    ];
    for (seed, payload) in payloads.iter().enumerate() {
        let Some(folder) = tool("rpmbuild") else {
            return;
        };
        let files = tree(&folder, 80 + seed as u64);
        let source = b"the source of the package".to_vec();
        folder.write("x.source", &source);
        folder.write("x.spec", SPEC.as_bytes());
        let make = format!(
            "rpmbuild -ba -D \"top $PWD\" -D '_topdir %{{top}}/made' -D '_sourcedir %{{top}}' \
             -D '_binary_payload {payload}' -D '_source_payload {payload}' x.spec
             mv made/RPMS/noarch/*.rpm x.rpm; mv made/SRPMS/*.rpm x.src.rpm"
        );
        println!("{make}");
        shell(&folder, "x.rpm", &make);
        let installed: Vec<_> = (files.iter())
            .map(|(name, content)| (format!("./{name}"), content.clone()))
            .collect();
        let sources = [
            ("x.source".to_owned(), source),
            ("x.spec".to_owned(), SPEC.into()),
        ];
        for (out, files) in [("x.rpm", &installed[..]), ("x.src.rpm", &sources)] {
            assert_holds(&opened(&folder.read(out), out), files);
            let listed = shell(&folder, out, "rpm2cpio $out | cpio --quiet -it");
            for (name, _) in files {
                assert!(listed.lines().any(|line| line == name), "{name}: {listed}");
            }
        }
    }
}
