//! The `Date` of a response: IMF-fixdate (RFC 9110, 5.6.7), 29 bytes, from seconds since 1970.
//!
//! A server writes it once a second, into its [`Prefix`](super::Prefix), and never per response.
//! All arithmetic is 32 bits wide: a Cortex-M0 has no 64-bit division.
//!
//! ```
//! use dustdevil_http::proto::date;
//! assert_eq!(&date::imf_fixdate(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
//! ```

/// 31 December 9999, 23:59:59: the last date that has four digits for its year.
pub const UNIX_S_MAX: u64 = 253_402_300_799;

/// The date of `unix_s`, in seconds since 1970 (UTC); dates after the year 9999 become its end.
pub fn imf_fixdate(unix_s: u64) -> [u8; 29] {
    let unix_s = if unix_s > UNIX_S_MAX { UNIX_S_MAX } else { unix_s };
    // A day has 675 * 128 seconds. Below UNIX_S_MAX the shifted value has 31 bits.
    let days = (unix_s >> 7) as u32 / 675;
    let second = (unix_s - u64::from(days) * 86_400) as u32;
    let (year, month, day) = civil(days);
    let (minute, hour) = (second / 60, second / 3600);

    let mut out = *b"Thu, 00 Jan 0000 00:00:00 GMT";
    // 1 January 1970 was a Thursday.
    put_name(&mut out, 0, b"ThuFriSatSunMonTueWed", days % 7);
    put_pair(&mut out, 5, day);
    put_name(&mut out, 8, b"JanFebMarAprMayJunJulAugSepOctNovDec", month - 1);
    put_pair(&mut out, 12, year / 100);
    put_pair(&mut out, 14, year % 100);
    put_pair(&mut out, 17, hour);
    put_pair(&mut out, 20, minute - hour * 60);
    put_pair(&mut out, 23, second - minute * 60);
    out
}

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970.
///
/// Why does this work? Years are begun in March, so that a leap day is the last day of its year,
/// and counted in cycles of 400 years (146,097 days), from 1 March 0000, which is 719,468 days
/// before 1970. In a year begun in March the months' lengths 31 30 31 30 31 repeat every five
/// months (153 days), so `(5 * day + 2) / 153` is the month (H. Hinnant, "chrono-compatible
/// low-level date algorithms").
fn civil(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let cycle = days / 146_097;
    let in_cycle = days - cycle * 146_097;
    let in_years = in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096;
    let year = in_years / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let march_month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * march_month + 2) / 5 + 1;
    let (month, carry) = if march_month < 10 { (march_month + 3, 0) } else { (march_month - 9, 1) };
    (cycle * 400 + year + carry, month, day)
}

#[cfg_attr(target_os = "none", inline(never))]
fn put_name(out: &mut [u8; 29], at: usize, names: &[u8], index: u32) {
    let from = index as usize * 3;
    if let (Some(place), Some(name)) = (out.get_mut(at..at + 3), names.get(from..from + 3)) {
        place.copy_from_slice(name);
    }
}

#[cfg_attr(target_os = "none", inline(never))]
fn put_pair(out: &mut [u8; 29], at: usize, value: u32) {
    if let Some([tens, ones]) = out.get_mut(at..at + 2) {
        *tens = b'0' + (value / 10) as u8;
        *ones = b'0' + (value % 10) as u8;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn known_dates() {
        for (unix_s, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (86_399, "Thu, 01 Jan 1970 23:59:59 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (UNIX_S_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(core::str::from_utf8(&imf_fixdate(unix_s)), Ok(expected), "{unix_s}");
        }
    }

    /// The oracle counts days one by one with the Gregorian rule.
    #[test]
    fn every_day_until_2400_follows_the_calendar() {
        const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        const WEEK: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        let mut days = 0_u64;
        for year in 1970..2400_u32 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (month, length) in LENGTHS.iter().enumerate() {
                for day in 1..=length + u32::from(leap && month == 1) {
                    let (week, month) = (WEEK[(days % 7) as usize], MONTHS[month]);
                    let expected = format!("{week}, {day:02} {month} {year:04} 12:34:56 GMT");
                    assert_eq!(imf_fixdate(days * 86_400 + 45_296), *expected.as_bytes());
                    days += 1;
                }
            }
        }
    }
}
