//! How long things took: counts by upper bound. The crate's own takes a lock for each observation.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::Counter;

/// Upper bounds in microseconds: from a small file in memory to the usual deadline and beyond.
const BOUNDS: [u64; 18] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
];

/// Durations, counted by their length.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS.len()],
    /// Of what is longer than the last bound.
    longer: Counter,
    nanoseconds: Counter,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| bound * 1000 < nanoseconds);
        self.buckets.get(at).unwrap_or(&self.longer).one();
        self.nanoseconds.add(nanoseconds);
    }

    /// The sum in seconds, and each upper bound in seconds with the count of what is between it and the one before.
    pub(super) fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e6);
        let buckets = bounds.zip(self.buckets.iter().map(Counter::get));
        let longer = (f64::INFINITY, self.longer.get());
        let sum = self.nanoseconds.get() as f64 / 1e9;
        (sum, buckets.chain([longer]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_part_of_its_bucket() {
        let histogram = Histogram::default();
        for microseconds in [0, 100, 101, 600_000_000, 600_000_001] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let (sum, buckets) = histogram.read();
        assert!((sum - 1_200.000_202).abs() < 1e-6, "{sum}");
        let counted: Vec<_> = buckets.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(
            counted,
            [
                &(0.0001, 2),
                &(0.00025, 1),
                &(600.0, 1),
                &(f64::INFINITY, 1)
            ]
        );
    }
}
