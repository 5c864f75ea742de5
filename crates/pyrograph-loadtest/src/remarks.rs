//! What a reader of the figures must know.

use crate::{Ending, LatencyFigures, LoadReport};

/// With fewer requests beyond a percentile, it says little.
const ENOUGH_BEYOND: f64 = 10.0;

/// Sentences on what the figures cannot say.
pub(crate) fn remarks(report: &LoadReport, give_up_after: u64) -> Vec<String> {
    let mut remarks = Vec::new();
    match report.ending {
        Ending::Complete => {}
        Ending::Interrupted => remarks.push("interrupted: these are the requests that ended before".into()),
        Ending::NoConnection => remarks.push(format!(
            "stopped early: the first {give_up_after} requests found no connection; is a server at this address?"
        )),
    }
    if report.failed > 0 && report.succeeded > 0 {
        remarks.push(format!(
            "{} of {} requests failed; their latencies are apart, in failed_latency",
            report.failed, report.requests
        ));
    }
    if let Some(warm_up) = report.warm_up.filter(|warm_up| warm_up.failed > 0) {
        remarks.push(format!(
            "{} of {} warm-up requests failed",
            warm_up.failed, warm_up.requests
        ));
    }
    if report.late_starts > 0 {
        remarks.push(format!(
            "{} of {} requests started late: as many as allowed were in flight, or this machine is too slow for the rate; \
             the wait is in their latency",
            report.late_starts, report.requests
        ));
    }
    if let Some(figures) = &report.latency {
        remarks.extend(of_few(figures));
    }
    remarks
}

/// Percentiles that rest on few requests.
fn of_few(figures: &LatencyFigures) -> Option<String> {
    let n = figures.n;
    let beyond = |percent: u64| n as f64 * (100 - percent) as f64 / 100.0;
    let listed = |few: &dyn Fn(f64) -> bool| {
        let names = [90, 95, 99]
            .into_iter()
            .filter(|&percent| few(beyond(percent)));
        names.collect::<Vec<u64>>()
    };
    let none = listed(&|beyond| beyond < 1.0);
    let few = listed(&|beyond| (1.0..ENOUGH_BEYOND).contains(&beyond));
    let names = |percents: &[u64]| {
        let names: Vec<String> = percents
            .iter()
            .map(|percent| format!("P{percent}"))
            .collect();
        names.join(" and ")
    };
    let needed = |percent: &u64| 1000 / (100 - percent);
    let mut parts = Vec::new();
    if let Some(last) = none.last() {
        let needed = needed(last);
        parts.push(format!(
            "{} of {n} requests: in effect the maximum; P{last} needs {needed} requests",
            names(&none)
        ));
    }
    if let Some(last) = few.last() {
        let needed = needed(last);
        parts.push(format!(
            "{} of {n} requests: few lie beyond, so the interval is too narrow; P{last} needs {needed} requests",
            names(&few)
        ));
    }
    (!parts.is_empty()).then(|| parts.join(". "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BootstrapOptions, Latencies};

    fn of(n: u32) -> Option<String> {
        let mut latencies = Latencies::new();
        (0..n).for_each(|i| latencies.record(f64::from(i)));
        of_few(&latencies.figures(&BootstrapOptions::default()).unwrap())
    }

    #[test]
    fn percentiles_of_few_requests_get_a_remark_with_the_number_needed() {
        let twenty = of(20).unwrap();
        assert!(
            twenty.contains("P99 of 20 requests: in effect the maximum"),
            "{twenty}"
        );
        assert!(
            twenty.contains("1000") && twenty.contains("P90 and P95"),
            "{twenty}"
        );
        let five = of(5).unwrap();
        assert!(five.starts_with("P90 and P95 and P99 of 5"), "{five}");
        let hundreds = of(500).unwrap();
        assert!(
            !hundreds.contains("maximum") && hundreds.contains("P99"),
            "{hundreds}"
        );
        assert_eq!(of(1000), None);
    }
}
