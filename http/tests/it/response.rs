//! Reads responses; it knows nothing of the server's own machine.

/// A response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// What was received and is no response yet.
#[derive(Default)]
pub(crate) struct Parser {
    pub(crate) bytes: Vec<u8>,
    at: usize,
    head: Option<Head>,
    body: Vec<u8>,
    /// A response said that the connection ends with it.
    pub(crate) closes: bool,
    /// What still comes is no response.
    pub(crate) ignores_rest: bool,
}

#[derive(Clone, Copy)]
struct Head {
    status: u16,
    framing: Framing,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Parser {
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len() && self.head.is_none()
    }

    /// Whether what is read is the begin of an error.
    pub(crate) fn is_error(&self) -> bool {
        let begins = self.rest().get(9).is_none_or(|digit| matches!(digit, b'4' | b'5'));
        self.head.map_or(begins, |head| head.status >= 400)
    }

    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn line(&self) -> Option<&[u8]> {
        let len = self.rest().windows(2).position(|pair| pair == b"\r\n")?;
        Some(&self.rest()[..len])
    }

    pub(crate) fn next(
        &mut self,
        is_head: bool,
        is_end: bool,
    ) -> Result<Option<Response>, &'static str> {
        if self.head.is_none() && !self.read_head(is_head)? {
            return Ok(None);
        }
        let Some(head) = self.head else { return Ok(None) };
        let is_whole = match head.framing {
            Framing::Length(length) => {
                let len = self.rest().len().min(length - self.body.len());
                self.body.extend_from_slice(&self.bytes[self.at..self.at + len]);
                self.at += len;
                self.body.len() == length
            }
            Framing::UntilClose => {
                self.body.extend_from_slice(&self.bytes[self.at..]);
                self.at = self.bytes.len();
                is_end
            }
            Framing::Chunked => self.read_chunks()?,
        };
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        if !is_whole {
            return Ok(None);
        }
        self.head = None;
        Ok(Some(Response { status: head.status, body: std::mem::take(&mut self.body) }))
    }

    fn read_head(&mut self, is_head: bool) -> Result<bool, &'static str> {
        let rest = self.rest();
        let Some(len) = rest.windows(4).position(|part| part == b"\r\n\r\n") else {
            return Ok(false);
        };
        let text = std::str::from_utf8(&rest[..len]).map_err(|_| "a head that is no text")?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.1 ").ok_or("a head without HTTP/1.1")?;
        let status = status.get(..3).and_then(|code| code.parse().ok()).ok_or("no status")?;
        let (mut framing, mut closes) = (Framing::UntilClose, self.closes);
        for line in lines {
            let (name, value) = line.split_once(":").ok_or("a field without a colon")?;
            // Optional whitespace may be any (RFC 9110, 5.6.3).
            let value = value.trim_matches([' ', '\t']);
            match name {
                "Content-Length" => {
                    framing = Framing::Length(value.parse().map_err(|_| "a malformed length")?);
                }
                "Transfer-Encoding" => framing = Framing::Chunked,
                "Connection" if value == "close" => closes = true,
                _ => {}
            }
        }
        if is_head || status < 200 || status == 204 || status == 304 {
            framing = Framing::Length(0);
        }
        self.closes = closes;
        if matches!(framing, Framing::UntilClose) && !closes {
            return Err("a body without an end");
        }
        self.at += len + 4;
        self.head = Some(Head { status, framing });
        Ok(true)
    }

    fn read_chunks(&mut self) -> Result<bool, &'static str> {
        loop {
            let Some(line) = self.line() else { return Ok(false) };
            let text = std::str::from_utf8(line).map_err(|_| "a chunk size that is no text")?;
            let size = usize::from_str_radix(text, 16).map_err(|_| "a malformed chunk size")?;
            let from = self.at + line.len() + 2;
            let Some(data) = self.bytes.get(from..from + size + 2) else { return Ok(false) };
            if !data.ends_with(b"\r\n") {
                return Err("a chunk without an end");
            }
            self.body.extend_from_slice(&data[..size]);
            self.at = from + size + 2;
            if size == 0 {
                return Ok(true);
            }
        }
    }
}
