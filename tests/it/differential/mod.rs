//! The same signatures and files for clamscan and for us: what differs is mended, or known by its reason.

mod clamscan;
mod layouts;
mod programs;
mod random;
