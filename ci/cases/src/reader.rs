//! A strict reader of responses, written from RFC 9112 for this suite alone.
//!
//! Invariants: it accepts what the grammar allows and nothing else, so a server that answers
//! sloppily fails whatever case it is asked by; it never guesses where a response ends.
//!
//! Place: below `play`, which feeds it everything that has arrived and not been read yet.

/// How the request was put that the next response answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// By `HEAD`: the response has no body, whatever its fields say.
    pub head: bool,
    /// In HTTP/1.0: the response has no transfer coding.
    pub old: bool,
}

/// One response, read whole.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its fields in their order, without the white space around values.
    pub fields: Vec<(String, String)>,
    /// Its body, decoded.
    pub body: Vec<u8>,
    /// It ends where the connection does.
    pub until_end: bool,
    /// The interim responses that came before it.
    pub interim: Vec<u16>,
}

impl Response {
    /// The values of the fields with this name.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_it = move |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(is_it).map(|field| field.1.as_str())
    }

    /// The first of them.
    pub fn value(&self, name: &str) -> Option<&str> {
        let is_it = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().find(is_it).map(|field| field.1.as_str())
    }

    /// Whether a field that is a list of tokens has this one.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let tokens = self.values(name).flat_map(|value| value.split(','));
        tokens.map(str::trim).any(|own| own.eq_ignore_ascii_case(token))
    }
}

/// What a reader has to say: what it found, None (more has to arrive), or what is wrong.
pub type Read<T> = Result<Option<T>, String>;

/// Reads the response at the start of `bytes`, and how many bytes it and its interim responses
/// take. `ended` tells that no more will arrive.
///
/// # Errors
/// What in the bytes breaks the grammar or the rules of framing.
pub fn read(bytes: &[u8], asked: Asked, ended: bool) -> Read<(Response, usize)> {
    let mut interim = Vec::new();
    let mut at = 0;
    loop {
        let Some((mut response, head)) = read_head(&bytes[at..])? else {
            return match ended && at < bytes.len() {
                true => Err("the connection ended within a head".to_owned()),
                false => Ok(None),
            };
        };
        at += head;
        if (100..200).contains(&response.status) {
            check_bodiless(&response)?;
            if response.status == 101 {
                return Err("101: nobody asked for another protocol".to_owned());
            }
            interim.push(response.status);
            continue;
        }
        let Some(body) = read_body(&bytes[at..], &mut response, asked, ended)? else {
            return match ended {
                true => Err("the connection ended within a body".to_owned()),
                false => Ok(None),
            };
        };
        check_fields(&response)?;
        response.interim = interim;
        return Ok(Some((response, at + body)));
    }
}

/// The line before the CRLF, and where the next one begins.
fn line(bytes: &[u8]) -> Read<(&[u8], usize)> {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return match bytes.len() {
            0..=65_536 => Ok(None),
            _ => Err("a line of more than 64 KiB".to_owned()),
        };
    };
    match bytes[..end].strip_suffix(b"\r") {
        Some(line) if line.contains(&b'\r') => Err("a bare CR in a line".to_owned()),
        Some(line) => Ok(Some((line, end + 1))),
        None => Err("a line that ends without CR".to_owned()),
    }
}

fn read_head(bytes: &[u8]) -> Read<(Response, usize)> {
    // What cannot become a status line is told at once, and not when nothing follows any more.
    let start = &b"HTTP/1."[..bytes.len().min(7)];
    if !bytes.starts_with(start) {
        return Err("not a status line".to_owned());
    }
    let Some((first, mut at)) = line(bytes)? else { return Ok(None) };
    let mut response = Response { status: status_of(first)?, ..Response::default() };
    loop {
        let Some((field, next)) = line(&bytes[at..])? else { return Ok(None) };
        at += next;
        if field.is_empty() {
            return Ok(Some((response, at)));
        }
        response.fields.push(field_of(field)?);
    }
}

/// RFC 9112, 4: `HTTP-version SP status-code SP [ reason-phrase ]`.
fn status_of(line: &[u8]) -> Result<u16, String> {
    let wrong = || format!("a malformed status line: {:?}", String::from_utf8_lossy(line));
    let is_version = line.starts_with(b"HTTP/1.1 ") || line.starts_with(b"HTTP/1.0 ");
    let code = line.get(9..12).filter(|code| is_version && code.iter().all(u8::is_ascii_digit));
    let code: u16 = code
        .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok())
        .filter(|code| (100..600).contains(code))
        .ok_or_else(wrong)?;
    let reason = line.get(12..).and_then(|rest| rest.strip_prefix(b" ")).ok_or_else(wrong)?;
    if reason.iter().copied().all(is_text) { Ok(code) } else { Err(wrong()) }
}

/// `HTAB / SP / VCHAR / obs-text`.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9112, 5: `field-name ":" OWS field-value OWS`.
fn field_of(line: &[u8]) -> Result<(String, String), String> {
    let wrong = || format!("a malformed field line: {:?}", String::from_utf8_lossy(line));
    let colon = line.iter().position(|&byte| byte == b':').ok_or_else(wrong)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(wrong());
    }
    if !value.iter().copied().all(is_text) {
        return Err(wrong());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok((text(name), text(value)))
}

/// RFC 9110, 8.6 and RFC 9112, 6.1: an interim response and a 204 have no framing of a body.
fn check_bodiless(response: &Response) -> Result<(), String> {
    for name in ["Content-Length", "Transfer-Encoding"] {
        if response.value(name).is_some() {
            return Err(format!("{} with {name}", response.status));
        }
    }
    Ok(())
}

/// Fields that a response has once at most, and what goes with a status.
fn check_fields(response: &Response) -> Result<(), String> {
    for name in ["Content-Length", "Content-Type", "Date", "Location", "Server", "Retry-After"] {
        if response.values(name).count() > 1 {
            return Err(format!("{name} twice"));
        }
    }
    // RFC 9110, 15.5.6.
    if response.status == 405 && response.value("Allow").is_none() {
        return Err("405 without Allow".to_owned());
    }
    response.value("Date").map_or(Ok(()), |date| check_date(date).map(drop))
}

/// RFC 9112, 6.3: how long the body is, in that order of precedence.
fn read_body(bytes: &[u8], response: &mut Response, asked: Asked, ended: bool) -> Read<usize> {
    let length = length_of(response)?;
    let codings: Vec<&str> = response.values("Transfer-Encoding").collect();
    let is_chunked = match codings[..] {
        [] => false,
        [one] if one.eq_ignore_ascii_case("chunked") => true,
        _ => return Err(format!("Transfer-Encoding: {}", codings.join(", "))),
    };
    if is_chunked && asked.old {
        return Err("Transfer-Encoding to a client of HTTP/1.0".to_owned());
    }
    if is_chunked && length.is_some() {
        return Err("both Content-Length and Transfer-Encoding".to_owned());
    }
    if response.status == 204 {
        check_bodiless(response)?;
    }
    if asked.head || matches!(response.status, 204 | 304) {
        return Ok(Some(0));
    }
    if is_chunked {
        return read_chunks(bytes, &mut response.body);
    }
    match length {
        Some(length) if bytes.len() < length => Ok(None),
        Some(length) => {
            response.body = bytes[..length].to_vec();
            Ok(Some(length))
        }
        None if ended => {
            response.until_end = true;
            response.body = bytes.to_vec();
            Ok(Some(bytes.len()))
        }
        None => Ok(None),
    }
}

fn length_of(response: &Response) -> Result<Option<usize>, String> {
    let Some(value) = response.value("Content-Length") else { return Ok(None) };
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(length) if is_number => Ok(Some(length)),
        _ => Err(format!("Content-Length: {value}")),
    }
}

/// RFC 9112, 7.1, to the end of the trailer section.
fn read_chunks(bytes: &[u8], body: &mut Vec<u8>) -> Read<usize> {
    let mut at = 0;
    loop {
        let Some((size, next)) = line(&bytes[at..])? else { return Ok(None) };
        at += next;
        let size = chunk_size(size)?;
        if size == 0 {
            break;
        }
        let Some(data) = bytes.get(at..at + size) else { return Ok(None) };
        body.extend_from_slice(data);
        at += size;
        match bytes.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Ok(None),
            _ => return Err("a chunk that is longer than its size".to_owned()),
        }
    }
    loop {
        let Some((field, next)) = line(&bytes[at..])? else { return Ok(None) };
        at += next;
        if field.is_empty() {
            return Ok(Some(at));
        }
        field_of(field)?;
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, String> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).unwrap_or_default();
    let is_hex = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match usize::from_str_radix(text, 16) {
        Ok(size) if is_hex => Ok(size),
        _ => Err(format!("a malformed chunk size: {:?}", String::from_utf8_lossy(line))),
    }
}

/// Seconds since 1970 of an `IMF-fixdate`: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
///
/// # Errors
/// When it is anything else, or a day that never was.
pub fn check_date(text: &str) -> Result<u64, String> {
    const DAYS: &[&str] = &["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let wrong = || format!("Date: {text}");
    let shape = "aaa, 00 aaa 0000 00:00:00 aaa";
    let fits = |(own, wanted): (u8, u8)| match wanted {
        b'0' => own.is_ascii_digit(),
        b'a' => own.is_ascii_alphabetic(),
        _ => own == wanted,
    };
    if text.len() != shape.len() || !text.bytes().zip(shape.bytes()).all(fits) {
        return Err(wrong());
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().unwrap_or_default();
    let month = MONTHS.as_bytes().chunks(3).position(|own| own == &text.as_bytes()[8..11]);
    let month = month.ok_or_else(wrong)? as u64 + 1;
    let (day, year) = (number(5, 7), number(12, 16));
    let (hour, minute, second) = (number(17, 19), number(20, 22), number(23, 25));
    if year < 1970 || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return Err(wrong());
    }
    // Days since 1970-01-01 of the civil calendar, with years that begin in March.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day;
    let days = days - 719_469;
    if &text[..3] != DAYS[(days % 7) as usize] || !text.ends_with(" GMT") {
        return Err(wrong());
    }
    Ok(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Asked = Asked { head: false, old: false };

    /// What arrived, how it was asked for, whether that is all; status, body, bytes taken.
    type End = (&'static [u8], Asked, bool, u16, &'static [u8], usize);

    #[test]
    fn responses_end_where_they_say() {
        let head = Asked { head: true, old: false };
        let table: &[End] = &[
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!", PLAIN, false, 200, b"hi", 40),
            (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", head, false, 200, b"", 36),
            (b"HTTP/1.1 204 x\r\n\r\nHTTP", PLAIN, false, 204, b"", 18),
            (b"HTTP/1.0 404 x\r\n\r\nno", PLAIN, true, 404, b"no", 20),
            (
                b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n1;e\r\na\r\n0\r\n\
          T: 1\r\n\r\n",
                PLAIN,
                false,
                200,
                b"a",
                65,
            ),
            (
                b"HTTP/1.1 100 c\r\n\r\nHTTP/1.1 417 x\r\nContent-Length: 0\r\n\r\n",
                PLAIN,
                false,
                417,
                b"",
                55,
            ),
        ];
        for (bytes, asked, ended, status, body, taken) in table {
            let (response, count) = read(bytes, *asked, *ended).unwrap().unwrap();
            let seen = (response.status, &response.body[..], count);
            assert_eq!(seen, (*status, *body, *taken), "{}", String::from_utf8_lossy(bytes));
            // A prefix is never a response, and never wrong.
            for cut in 0..count {
                assert!(*ended || read(&bytes[..cut], *asked, false).unwrap().is_none());
            }
        }
    }

    #[test]
    fn sloppy_responses_are_told() {
        let table: &[&[u8]] = &[
            b"hello",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 600 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 100 Go\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 101 Go\r\n\r\n",
            b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: today\r\n\r\n",
        ];
        for bytes in table {
            let seen = read(bytes, PLAIN, false);
            assert!(seen.is_err(), "{}: {seen:?}", String::from_utf8_lossy(bytes));
        }
        let old = Asked { head: false, old: true };
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(read(chunked, old, false).is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", PLAIN, true).is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\nCont", PLAIN, true).is_err());
    }

    #[test]
    fn dates() {
        assert_eq!(check_date("Sun, 06 Nov 1994 08:49:37 GMT"), Ok(784_111_777));
        assert_eq!(check_date("Thu, 29 Feb 2024 00:00:00 GMT"), Ok(1_709_164_800));
        for wrong in [
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
        ] {
            assert!(check_date(wrong).is_err(), "{wrong}");
        }
    }
}
