//! Points in time as people and programs read them, in UTC.
#![forbid(unsafe_code)]

/// The time `ms` milliseconds after 1970-01-01 UTC, to the second, without a zone, as XML has it: `2026-11-22T01:52:23`.
pub fn utc(ms: u64) -> String {
    let seconds = ms / 1000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = time(seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The time `seconds` after 1970-01-01 UTC as asctime(3) writes it: `Sun Nov 22 01:52:23 2026`.
pub fn calendar_time(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = seconds / 86_400;
    let (year, month, day) = date(days);
    let (hour, minute, second) = time(seconds);
    let name = |names: &[&'static str], at: u64| {
        let at = usize::try_from(at).ok();
        at.and_then(|at| names.get(at).copied()).unwrap_or_default()
    };
    let (weekday, month) = (name(&DAYS, days % 7), name(&MONTHS, month - 1));
    format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}")
}

/// Hour, minute and second of the day.
fn time(seconds: u64) -> (u64, u64, u64) {
    let second = seconds % 86_400;
    (second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day counted from 1970-01-01. Years begin in March here, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_the_calendar_has_them() {
        let rows = [
            (0, "1970-01-01T00:00:00"),
            (951_782_400_000, "2000-02-29T00:00:00"),
            (951_868_799_999, "2000-02-29T23:59:59"),
            (1_709_164_800_000, "2024-02-29T00:00:00"),
            (1_735_689_599_000, "2024-12-31T23:59:59"),
            (4_107_542_400_000, "2100-03-01T00:00:00"),
        ];
        for (ms, text) in rows {
            assert_eq!(utc(ms), text);
        }
    }

    #[test]
    fn the_calendar_has_names() {
        let rows = [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_868_799, "Tue Feb 29 23:59:59 2000"),
            (1_795_370_862, "Sun Nov 22 18:07:42 2026"),
        ];
        for (seconds, text) in rows {
            assert_eq!(calendar_time(seconds), text);
        }
    }
}
