//! All metrics of a moment, and their text form.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Histogram;

/// The type of the text, for those who are sent it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of a value, with their names.
type Labels = Vec<(&'static str, String)>;

/// The metrics of a moment.
#[derive(Debug, Default)]
pub struct Page {
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    /// In full, but for the `_total` of counters and the `_info` of facts.
    name: &'static str,
    help: &'static str,
    metric_type: MetricType,
    values: Vec<(Labels, Value)>,
}

#[derive(Debug)]
enum Value {
    Counter(u64),
    Seconds(f64),
    Gauge(f64),
    Histogram(f64, Vec<(f64, u64)>),
    Fact(Labels),
}

impl Page {
    /// A number that only grows; `_total` is put behind the name.
    pub fn counter(&mut self, name: &'static str, help: &'static str, count: u64) {
        self.counter_family(name, help, [(Labels::new(), count)]);
    }

    /// Such numbers by one label.
    pub fn counters<L: Into<String>>(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counts: impl IntoIterator<Item = (L, u64)>,
    ) {
        let counts = counts.into_iter();
        self.counter_family(
            name,
            help,
            counts.map(|(value, count)| (vec![(label, value.into())], count)),
        );
    }

    /// Such numbers by labels.
    pub fn counter_family(
        &mut self,
        name: &'static str,
        help: &'static str,
        counts: impl IntoIterator<Item = (Labels, u64)>,
    ) {
        let values = counts
            .into_iter()
            .map(|(labels, count)| (labels, Value::Counter(count)));
        self.family(name, help, MetricType::Counter, values);
    }

    /// Times that only grow, by labels.
    pub fn seconds_family(
        &mut self,
        name: &'static str,
        help: &'static str,
        times: impl IntoIterator<Item = (Labels, Duration)>,
    ) {
        let times = times.into_iter();
        let values = times.map(|(labels, time)| (labels, Value::Seconds(time.as_secs_f64())));
        self.family(name, help, MetricType::Counter, values);
    }

    /// A number as it is at the moment.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.gauge_family(name, help, [(Labels::new(), value)]);
    }

    /// Such numbers by labels.
    pub fn gauge_family(
        &mut self,
        name: &'static str,
        help: &'static str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        let values = values
            .into_iter()
            .map(|(labels, value)| (labels, Value::Gauge(value)));
        self.family(name, help, MetricType::Gauge, values);
    }

    /// How long things took.
    pub fn histogram(&mut self, name: &'static str, help: &'static str, histogram: &Histogram) {
        self.histogram_family(name, help, [(Labels::new(), histogram)]);
    }

    /// The same by labels.
    pub fn histogram_family<'h>(
        &mut self,
        name: &'static str,
        help: &'static str,
        histograms: impl IntoIterator<Item = (Labels, &'h Histogram)>,
    ) {
        let values = histograms.into_iter().map(|(labels, histogram)| {
            let (sum, buckets) = histogram.read();
            (labels, Value::Histogram(sum, buckets))
        });
        self.family(name, help, MetricType::Histogram, values);
    }

    /// Texts that are as they are; `_info` is put behind the name.
    pub fn fact(&mut self, name: &'static str, help: &'static str, texts: Labels) {
        self.family(
            name,
            help,
            MetricType::Info,
            [(Labels::new(), Value::Fact(texts))],
        );
    }

    fn family(
        &mut self,
        name: &'static str,
        help: &'static str,
        metric_type: MetricType,
        values: impl IntoIterator<Item = (Labels, Value)>,
    ) {
        self.families.push(Family {
            name,
            help,
            metric_type,
            values: values.into_iter().collect(),
        });
    }

    /// The text form, OpenMetrics 1.0.
    pub fn into_text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing into a string never fails.
        let _ = text::encode(&mut text, &registry);
        text
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.families {
            let (name, help) = (family.name, family.help);
            let mut all = encoder.encode_descriptor(name, help, None, family.metric_type)?;
            for (labels, value) in &family.values {
                match labels.as_slice() {
                    [] => value.encode(&mut all)?,
                    _ => value.encode(&mut all.encode_family(labels)?)?,
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Self::Counter(count) => encoder.encode_counter::<NoLabelSet, _, f64>(count, None),
            Self::Seconds(count) => encoder.encode_counter::<NoLabelSet, _, f64>(count, None),
            Self::Gauge(value) => encoder.encode_gauge(value),
            Self::Histogram(sum, buckets) => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
            Self::Fact(texts) => encoder.encode_info(texts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_openmetrics() {
        let mut page = Page::default();
        page.counters("a", "Help.", "name", [("quo\"te\\\n", 3)]);
        page.gauge("b_bytes", "More.", 0.5);
        let histogram = Histogram::default();
        histogram.observe(Duration::from_secs(700));
        page.histogram("c_seconds", "Time.", &histogram);
        page.fact("d", "Facts.", vec![("version", "1".to_owned())]);
        let text = page.into_text();
        for line in [
            "# HELP a Help.",
            "# TYPE a counter",
            r#"a_total{name="quo\"te\\\n"} 3"#,
            "b_bytes 0.5",
            "c_seconds_sum 700.0",
            "c_seconds_count 1",
            r#"c_seconds_bucket{le="600.0"} 0"#,
            r#"c_seconds_bucket{le="+Inf"} 1"#,
            r#"d_info{version="1"} 1"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
