//! Unchanged programs that ask clamd, with our daemon in its place, and what their users get.
//!
//! One file a program. Each reads its configuration from docs/gateways.md, which is thereby right, and sends
//! the contents of [`support`] through the program: clean, infected, encrypted, and larger than it may be.

mod support;

mod amavis;
mod clamsmtp;
mod exim;
mod milter;
mod mimedefang;
mod postfix;
mod rspamd;
mod smtp;

mod c_icap;
mod clamfs;
mod node;
mod perl;
mod proftpd;
mod python;
mod samba;
