//! TIME: RFC 3339, `YYYY-MM-DD` (local, end of day) or an age (`2h`, `3d`).

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::{FileTime, Hlc};

use crate::exit::Kind;
use crate::failure::Failure;

/// Digits of an age: with its unit an age stays shorter than the shortest hash prefix.
const AGE_DIGITS_MAX: usize = 6;

/// A point in time on the version clock. A time without a fraction means the end of its second, as
/// a date means the end of its day: what `log` prints finds the version it was printed for.
pub(crate) fn timestamp(text: &str, now: Timestamp) -> Result<Hlc, Failure> {
    let time = age(text, now)
        .or_else(|| end_of_day(text))
        .or_else(|| instant(text))
        .ok_or_else(|| malformed(text))?;
    u64::try_from(time.as_nanosecond()).map(Hlc).map_err(|_| malformed(text))
}

fn malformed(text: &str) -> Failure {
    Failure::new(Kind::Malformed, format!("malformed time: {text}")).hint(
        "write 2026-11-24T09:30:00Z, 2026-11-24 (local, end of day) or an age such as 2h or 3d",
    )
}

fn age(text: &str, now: Timestamp) -> Option<Timestamp> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if digits.len() > AGE_DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds_per_unit = match text.strip_prefix(digits)? {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    let count: i64 = digits.parse().ok()?;
    now.checked_sub(SignedDuration::from_secs(count * seconds_per_unit)).ok()
}

fn end_of_day(text: &str) -> Option<Timestamp> {
    if text.len() != "YYYY-MM-DD".len() {
        return None;
    }
    let date: Date = text.parse().ok()?;
    let next = date.tomorrow().ok()?.to_zoned_datetime(TimeZone::system()).ok()?.timestamp();
    next.checked_sub(SignedDuration::from_nanos(1)).ok()
}

fn instant(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    if text.contains(['.', ',']) {
        return Some(time);
    }
    time.checked_add(SignedDuration::from_nanos(999_999_999)).ok()
}

/// A version's clock for people: local time with its offset, whole seconds.
pub(crate) fn hlc_text(hlc: Hlc) -> String {
    Timestamp::from_nanosecond(i128::from(hlc.0))
        .map_or_else(|_| format!("@{}ns", hlc.0), |time| local(time, 0))
}

/// A file's time for people: local time with its offset, nanoseconds.
pub(crate) fn time_text(time: FileTime) -> String {
    let nanos = i32::try_from(time.nanos).unwrap_or(0);
    // Before 1970 the parts have different signs, which `new` refuses: add instead.
    Timestamp::from_second(time.seconds)
        .and_then(|whole| whole.checked_add(SignedDuration::from_nanos(i64::from(nanos))))
        .map_or_else(|_| format!("@{}s", time.seconds), |time| local(time, 9))
}

fn local(time: Timestamp, digits: usize) -> String {
    let zoned = time.to_zoned_datetime(TimeZone::system());
    if digits == 0 {
        zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    } else {
        zoned.strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn seconds(text: &str) -> u64 {
        timestamp(text, NOW).unwrap().0 / 1_000_000_000
    }

    #[test]
    fn ages_count_back_from_now() {
        assert_eq!(seconds("0s"), 1_800_000_000);
        assert_eq!(seconds("90s"), 1_800_000_000 - 90);
        assert_eq!(seconds("5m"), 1_800_000_000 - 300);
        assert_eq!(seconds("2h"), 1_800_000_000 - 7200);
        assert_eq!(seconds("3d"), 1_800_000_000 - 3 * 86_400);
        assert_eq!(seconds("1w"), 1_800_000_000 - 7 * 86_400);
    }

    #[test]
    fn instants_mean_the_end_of_what_they_name() {
        assert_eq!(timestamp("2026-11-24T09:30:00Z", NOW).unwrap().0 % 1_000_000_000, 999_999_999);
        assert_eq!(
            timestamp("2026-11-24T09:30:00.5Z", NOW).unwrap().0 % 1_000_000_000,
            500_000_000
        );
        assert_eq!(seconds("2026-11-24T10:30:00+01:00"), seconds("2026-11-24T09:30:00Z"));
        let (day, next) =
            (timestamp("2026-11-24", NOW).unwrap(), timestamp("2026-11-25", NOW).unwrap());
        assert_eq!(next.0 - day.0, 86_400_000_000_000);
        assert_eq!(day.0 % 1_000_000_000, 999_999_999);
    }

    #[test]
    fn what_log_prints_is_a_time_that_covers_the_version() {
        let hlc = Hlc(1_800_000_000_123_456_789);
        assert!(timestamp(&hlc_text(hlc), NOW).unwrap() >= hlc);
        assert!(timestamp(&hlc_text(hlc), NOW).unwrap().0 - hlc.0 < 1_000_000_000);
    }

    #[test]
    fn malformed_times_are_refused() {
        for bad in [
            "",
            "h",
            "2",
            "2y",
            "1234567d",
            "2026-13-01",
            "2026-11-24T25:00:00Z",
            "yesterday",
            "-3d",
            "1960-01-01",
            "1960-01-01T00:00:00Z",
        ] {
            assert_eq!(timestamp(bad, NOW).unwrap_err().kind, Kind::Malformed, "{bad}");
        }
    }

    #[test]
    fn file_times_before_1970_have_text() {
        let text = time_text(FileTime { seconds: -2, nanos: 500_000_000 });
        assert!(text.contains(":58.500000000"), "{text}");
    }
}
