//! The same signatures and files for clamscan and for us: what differs is mended, or known by its reason.
//!
//! A run is seeded. `VFIND_PAIRS=N` makes about so many pairs of a signature and a file in each family.

mod bodies;
mod clamscan;
mod digests;
mod families;
mod layouts;
mod logical;
mod members;
mod normal;
mod ours;
mod programs;
mod sigtool;
mod types;
