//! Perl's ClamAV::Client.

use std::process::Command;

use super::support::{NAME, Scanner, contents, has_programs};
use crate::support::{out, said};

/// What it says of each content, over the socket and the port, with one object for each: one that met an error
/// takes the end of the old connection for the next answer.
const ASK: &str = r#"
use ClamAV::Client;
my ($socket, $port, $folder) = @ARGV;
for my $content (qw(clean infected encrypted large)) {
    my $path = "$folder/$content";
    for my $place ([socket_name => $socket], [socket_host => "127.0.0.1", socket_port => $port]) {
        my $client = ClamAV::Client->new(@$place);
        $client->ping eq "PONG" or die;
        my (undef, $one) = eval { $client->scan_path($path) };
        $one = $@ ? "error" : $one // "clean";
        my %all = eval { ClamAV::Client->new(@$place)->scan_path_complete($path) };
        my $all = $@ ? "error" : $all{$path} // "clean";
        print "$content | $one | $all\n";
    }
}
"#;

#[test]
fn perls_library_tells_what_is_infected_or_was_not_examined() {
    if !has_programs(&["/usr/bin/perl", "/usr/share/perl5/ClamAV/Client.pm"]) {
        return;
    }
    let scanner = Scanner::small(&[]);
    let mut expected = String::new();
    for (name, content) in contents().files() {
        scanner.write(name, content);
        let says = match name {
            "infected" => NAME,
            "large" => "error",
            _ => "clean",
        };
        expected += &format!("{name} | {says} | {says}\n").repeat(2);
    }
    let mut ask = Command::new("timeout");
    ask.args(["60", "perl", "-e", ASK]).arg(scanner.socket());
    ask.arg(scanner.port().to_string());
    let asked = ask.arg(scanner.path("")).output().unwrap();
    assert_eq!(out(&asked), expected, "{}", said(&asked));
}
