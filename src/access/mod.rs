//! Who may connect: rules by address range. `deny` wins, and with any `allow` all others are denied.
#![forbid(unsafe_code)]

pub mod tokens;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// The rules of one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

impl Access {
    /// Adds addresses that may connect; all that no such rule names are denied from then on.
    pub fn allow(&mut self, range: Range) {
        self.allow.push(range.0);
    }

    /// Adds addresses that may not connect, whatever is allowed.
    pub fn deny(&mut self, range: Range) {
        self.deny.push(range.0);
    }

    /// Tells whether this address may connect. An IPv4 address in its IPv6 form is an IPv4 address.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

/// A range of addresses: `10.0.0.0/8`, `fe80::/10`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range(IpNet);

/// Bits of an IPv6 address that stand in front of an IPv4 address in it (RFC 4291 §2.5.5.2).
const MAPPED: u8 = 96;

impl std::str::FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| {
                format!(
                    "'{text}' is no range of addresses, such as 10.0.0.0/8, 192.0.2.1 or fe80::/10"
                )
            })?,
        };
        Ok(Self(unmapped(range)))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of IPv4 addresses in their IPv6 form is one of IPv4: no peer would be in it otherwise.
fn unmapped(range: IpNet) -> IpNet {
    let IpNet::V6(six) = range else { return range };
    let four = Ipv6Addr::to_ipv4_mapped(&six.addr());
    let length = six.prefix_len().checked_sub(MAPPED);
    match four
        .zip(length)
        .and_then(|(four, length)| Ipv4Net::new(four, length).ok())
    {
        Some(four) => IpNet::V4(four),
        None => range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn access(allow: &[&str], deny: &[&str]) -> Access {
        let mut access = Access::default();
        for range in allow {
            access.allow(range.parse().unwrap());
        }
        for range in deny {
            access.deny(range.parse().unwrap());
        }
        access
    }

    #[test]
    fn deny_wins_and_any_allow_leaves_all_others_out() {
        let private = &["10.0.0.0/8", "fd00::/8"][..];
        let rows: &[(&[&str], &[&str], &str, bool)] = &[
            (&[], &[], "192.0.2.1", true),
            (&[], &[], "::1", true),
            (private, &[], "10.255.0.1", true),
            (private, &[], "11.0.0.1", false),
            (private, &[], "fd12::1", true),
            (private, &[], "fe80::1", false),
            (private, &["10.1.0.0/16"], "10.1.2.3", false),
            (private, &["10.1.0.0/16"], "10.2.2.3", true),
            (&[], &["10.1.0.0/16"], "192.0.2.1", true),
            (&["0.0.0.0/0"], &["0.0.0.0/0"], "192.0.2.1", false),
            // One address; bits behind the length do not count.
            (&["192.0.2.1"], &[], "192.0.2.1", true),
            (&["192.0.2.1"], &[], "192.0.2.2", false),
            (&["10.9.9.9/8"], &[], "10.1.1.1", true),
            (&["::1"], &[], "::1", true),
            (&["::1"], &[], "127.0.0.1", false),
            // IPv4 in its IPv6 form, as a peer of a socket for both and as a rule.
            (private, &[], "::ffff:10.1.1.1", true),
            (&[], &["10.0.0.0/8"], "::ffff:10.1.1.1", false),
            (&["::ffff:10.0.0.0/104"], &[], "10.1.1.1", true),
            (&[], &["::ffff:10.1.1.1"], "10.1.1.1", false),
            (&["::/0"], &[], "10.1.1.1", false),
        ];
        for (allow, deny, address, admitted) in rows {
            let is_admitted = access(allow, deny).admits(address.parse().unwrap());
            assert_eq!(is_admitted, *admitted, "{allow:?} {deny:?} {address}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0",
            "::/129",
            "10.0.0.0/8 ",
        ] {
            let error = text.parse::<Range>().unwrap_err();
            assert!(error.contains("10.0.0.0/8"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_range_holds_what_has_its_first_bits(net: u128, other: u128, length in 0u8..=128, same: bool) {
            // Half of the addresses share the range's first bits.
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            let address = if same { net & mask | other & !mask } else { other };
            let (net_address, address) = (Ipv6Addr::from_bits(net), Ipv6Addr::from_bits(address));
            prop_assume!(net_address.to_ipv4_mapped().is_none() && address.to_ipv4_mapped().is_none());
            let access = access(&[&format!("{net_address}/{length}")], &[]);
            prop_assert_eq!(access.admits(address.into()), address.to_bits() & mask == net & mask);
        }
    }
}
