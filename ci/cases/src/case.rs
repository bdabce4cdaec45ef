//! What a case is made of: bytes to send, and what must be seen.
//!
//! A case is a script of [`Step`]s. Most come from tables of [`Row`]s, which say it in one line:
//! what is sent, and a [`Verdict`]. Behind each row's bytes another request is sent at once, in the
//! same segment. Where the row's request is taken the other has to be answered as well, from its
//! first byte on, so both sides agree where the first one ends; where the row's request is refused,
//! the other must never be answered.
//!
//! Place: the vocabulary of [`crate::tables`]; `play` does what it says.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use crate::reader::{Asked, Response, check_date};

/// One case.
#[derive(Debug)]
pub struct Case {
    /// Its group, its table and what it is about: `framing/length/two that differ`.
    pub name: String,
    /// Where the rule stands: `9112 6.3`, section 6.3 of RFC 9112.
    pub section: &'static str,
    /// What happens.
    pub script: Vec<Step>,
    /// Where it holds.
    pub place: Place,
    /// It takes seconds: it is begun first.
    pub slow: bool,
    /// It counts what the whole server has in work: nothing else runs beside it.
    pub alone: bool,
}

/// Where a case can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everywhere.
    Everywhere,
    /// Not on a board, for this reason.
    NotOnBoards(&'static str),
    /// On boards alone, for this reason.
    OnBoards(&'static str),
}

/// Something that is done or awaited.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes; what arrives meanwhile is kept. A peer that has closed is no failure
    /// here: what it said before is judged by the steps that follow.
    Send(Vec<u8>),
    /// Sends these bytes one at a time, this many microseconds apart.
    Bytewise(Vec<u8>, u64),
    /// Sends these bytes again and again, one at a time and this many milliseconds apart, until an
    /// answer or the end arrives, which has to be within so many milliseconds. Without bytes: only
    /// waits for that.
    Trickle(Vec<u8>, u64, u64),
    /// Waits for so many milliseconds, and keeps what arrives.
    Pause(u64),
    /// Sends a FIN.
    Finish,
    /// Sends a RST: the connection is gone.
    Reset,
    /// Reads nothing from the socket until the next step that waits for something.
    Blind,
    /// A response arrives.
    Answer(Want),
    /// One of these scripts goes on from here: the first whose first step fits what arrives.
    OneOf(Vec<Vec<Step>>),
    /// For so many milliseconds nothing arrives and the connection stays.
    Quiet(u64),
    /// Nothing more arrives, and the connection ends, by a FIN or a RST.
    Closed,
    /// Nothing more arrives, and the connection ends by a FIN, so that no response is destroyed.
    Finished,
    /// Two responses that were read have the same fields, but for those that may differ.
    SameFields,
    /// The interim response 100 arrives, alone.
    Continues,
    /// Everything arrived within so many milliseconds from the beginning of the case, and not
    /// before so many.
    Took(RangeInclusive<u64>),
    /// Goes on with a new connection. The one before is closed.
    Anew,
    /// The server counts this many requests in work at most, its own included (`GET /counters` of
    /// those that have it, within ten seconds).
    AtRest,
}

/// What a response has to be.
#[derive(Clone, Debug)]
pub struct Want {
    /// Its status is one of these.
    pub status: Vec<u16>,
    /// Its body.
    pub body: Body,
    /// Its fields.
    pub fields: Vec<(&'static str, Demand)>,
    /// How it was asked for.
    pub asked: Asked,
    /// How many interim responses may come before it.
    pub interim: RangeInclusive<usize>,
}

/// What a body has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Anything.
    Any,
    /// Exactly this.
    Is(Vec<u8>),
    /// Has each of these lines; runs of spaces count as one.
    Lines(Vec<String>),
    /// As many of this byte.
    Repeats(u8, usize),
}

/// What a field has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// There.
    Present,
    /// Not there.
    Absent,
    /// There, once, with this value.
    Is(&'static str),
    /// A list that has this token, whatever its case.
    Lists(&'static str),
    /// Not a list that has this token.
    ListsNot(&'static str),
    /// One field line for each of these values, in this order.
    Each(&'static [&'static str]),
    /// A date that is within two days of this machine's clock.
    Today,
}

impl Want {
    /// A response with one of these statuses.
    pub fn status(status: &[u16]) -> Self {
        let status = status.to_vec();
        let asked = Asked::default();
        Self { status, body: Body::Any, fields: Vec::new(), asked, interim: 0..=0 }
    }

    /// 200 and exactly this body.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(&[200]).body(Body::Is(body.as_ref().to_vec()))
    }

    /// 200 and each of these lines.
    pub fn lines(lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self::status(&[200]).body(Body::Lines(lines))
    }

    /// With this body.
    pub fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// With this field.
    pub fn field(mut self, name: &'static str, demand: Demand) -> Self {
        self.fields.push((name, demand));
        self
    }

    /// To a request by `HEAD`.
    pub fn to_head(mut self) -> Self {
        self.asked.head = true;
        self.body(Body::Is(Vec::new()))
    }

    /// To a request in HTTP/1.0.
    pub fn to_old(mut self) -> Self {
        self.asked.old = true;
        self
    }

    /// With up to so many interim responses before it.
    pub fn interim(self, interim: RangeInclusive<usize>) -> Self {
        Self { interim, ..self }
    }

    /// As the only step of a script.
    pub fn step(self) -> Step {
        Step::Answer(self)
    }

    /// # Errors
    /// What of the response is not as wanted.
    pub fn judge(&self, response: &Response) -> Result<(), String> {
        if !self.status.contains(&response.status) {
            return Err(format!("status {}", response.status));
        }
        let count = response.interim.len();
        if !self.interim.contains(&count) {
            return Err(format!("{count} interim responses {:?}", response.interim));
        }
        for (name, demand) in &self.fields {
            demand.judge(name, response)?;
        }
        self.body.judge(&response.body)
    }
}

impl Demand {
    fn judge(&self, name: &str, response: &Response) -> Result<(), String> {
        let values: Vec<&str> = response.values(name).collect();
        let fits = match self {
            Self::Present => !values.is_empty(),
            Self::Absent => values.is_empty(),
            Self::Is(value) => values == [*value],
            Self::Each(all) => values == *all,
            Self::Lists(token) => response.lists(name, token),
            Self::ListsNot(token) => !response.lists(name, token),
            Self::Today => values.len() == 1 && is_today(values[0]),
        };
        if fits { Ok(()) } else { Err(format!("{name} is {values:?}, wanted {self:?}")) }
    }
}

fn is_today(text: &str) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map(|since| since.as_secs()).unwrap_or_default();
    check_date(text).is_ok_and(|date| date.abs_diff(now) < 2 * 86_400)
}

impl Body {
    fn judge(&self, body: &[u8]) -> Result<(), String> {
        let own: Vec<String> = String::from_utf8_lossy(body).lines().map(squeezed).collect();
        let fits = match self {
            Self::Any => true,
            Self::Is(wanted) => body == wanted,
            Self::Lines(lines) => lines.iter().all(|line| own.contains(&squeezed(line))),
            Self::Repeats(byte, count) => {
                body.len() == *count && body.iter().all(|own| own == byte)
            }
        };
        let shown = || String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
        if fits { Ok(()) } else { Err(format!("a body of {}: {:?}", body.len(), shown())) }
    }
}

fn squeezed(line: &str) -> String {
    line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A line of a table: name, section, bytes, and what must become of them.
pub struct Row(pub &'static str, pub &'static str, pub &'static [u8], pub Verdict);

/// What must become of a row's request. Where the RFC leaves a choice, there is more than one way.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// One response with one of these statuses, then the end.
    Refused(&'static [u16]),
    /// 200, as told, and the request behind is answered.
    Taken(Told),
    /// 200, as told, then the end.
    Last(Told),
    /// `Refused` or `Taken`.
    Either(&'static [u16], Told),
    /// `Refused` or `Last`.
    EitherLast(&'static [u16], Told),
    /// One response with one of these statuses; the request behind is answered, or the end is
    /// there.
    Answered(&'static [u16]),
    /// It may be refused, and a server may as well wait for its rest, which never comes: behind a
    /// FIN one response with one of these statuses, then the end, or the end alone.
    Unfinished(&'static [u16]),
}

/// What a body tells of the request as it was understood.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// It has each of these lines.
    Lines(&'static [&'static str]),
    /// It is this.
    Is(&'static str),
}

impl Told {
    fn want(self) -> Want {
        match self {
            Self::Lines(lines) => Want::lines(lines),
            Self::Is(body) => Want::ok(body),
        }
    }
}

/// What is sent behind each row's request.
pub const FOLLOWER: &[u8] = b"GET /dump?follower HTTP/1.1\r\nHost: t\r\n\r\n";

/// What answers [`FOLLOWER`].
pub fn follower() -> Step {
    Want::lines(&["method=GET", "path=/dump", "query=follower", "body=0"]).step()
}

impl Verdict {
    /// The steps behind the bytes.
    pub fn script(self, asked: Asked) -> Vec<Step> {
        match self {
            Self::Unfinished(_) => vec![Step::Finish, self.outcomes(asked)],
            _ => vec![self.outcomes(asked)],
        }
    }

    fn outcomes(self, asked: Asked) -> Step {
        let with = |want: Want| Want { asked, ..want }.step();
        let refused = |statuses| vec![with(Want::status(statuses)), Step::Closed];
        let taken = |told: Told| vec![with(told.want()), follower()];
        let last = |told: Told| vec![with(told.want()), Step::Closed];
        Step::OneOf(match self {
            Self::Refused(statuses) => vec![refused(statuses)],
            Self::Taken(told) => vec![taken(told)],
            Self::Last(told) => vec![last(told)],
            Self::Either(statuses, told) => vec![refused(statuses), taken(told)],
            Self::EitherLast(statuses, told) => vec![refused(statuses), last(told)],
            Self::Answered(statuses) => {
                let then = Step::OneOf(vec![vec![follower()], vec![Step::Closed]]);
                vec![vec![with(Want::status(statuses)), then]]
            }
            Self::Unfinished(statuses) => vec![refused(statuses), vec![Step::Closed]],
        })
    }
}

impl Case {
    /// A case of this script.
    pub fn new(name: impl Into<String>, section: &'static str, script: Vec<Step>) -> Self {
        let place = Place::Everywhere;
        Self { name: name.into(), section, script, place, slow: false, alone: false }
    }

    /// This request and what must become of it; [`FOLLOWER`] is sent behind it.
    pub fn of(
        name: impl Into<String>,
        section: &'static str,
        request: impl AsRef<[u8]>,
        verdict: Verdict,
    ) -> Self {
        let old = request.as_ref().windows(10).any(|part| part == b" HTTP/1.0\r");
        let asked = Asked { head: false, old };
        let bytes = [request.as_ref(), FOLLOWER].concat();
        let script = [vec![Step::Send(bytes)], verdict.script(asked)].concat();
        Self::new(name, section, script)
    }

    /// It takes seconds.
    pub fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    /// Nothing else runs beside it.
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// It holds there alone.
    pub fn place(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// The first part of its name.
    pub fn group(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// Adds a case for each row: `before`, its bytes, `behind`.
pub fn table(cases: &mut Vec<Case>, path: &str, before: &str, rows: &[Row], behind: &str) {
    for Row(name, section, bytes, verdict) in rows {
        let request = [before.as_bytes(), bytes, behind.as_bytes()].concat();
        cases.push(Case::of(format!("{path}/{name}"), section, request, *verdict));
    }
}

impl Display for Want {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.status)?;
        match &self.body {
            Body::Any => {}
            Body::Is(body) if body.is_empty() => write!(formatter, " without body")?,
            Body::Is(body) if body.len() <= 200 => {
                write!(formatter, " {:?}", String::from_utf8_lossy(body))?;
            }
            Body::Is(body) => write!(formatter, " a body of {}", body.len())?,
            other => write!(formatter, " {other:?}")?,
        }
        self.fields.iter().try_for_each(|(name, demand)| write!(formatter, " {name}: {demand:?}"))
    }
}

impl Display for Step {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(formatter, "send {}", shown(bytes)),
            Self::Bytewise(bytes, _) => write!(formatter, "send bytewise {}", shown(bytes)),
            Self::Answer(want) => write!(formatter, "{want}"),
            Self::Closed => formatter.write_str("the end"),
            Self::OneOf(scripts) => {
                let scripts = scripts.iter().map(|script| {
                    script.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                });
                formatter.write_str(&scripts.collect::<Vec<_>>().join(" or "))
            }
            other => write!(formatter, "{other:?}"),
        }
    }
}

/// Bytes as text, at most some hundred of them.
pub fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 480;
    let text: String =
        bytes.iter().take(MOST).map(|byte| byte.escape_ascii().to_string()).collect();
    let rest = bytes.len().saturating_sub(MOST);
    if rest == 0 { format!("\"{text}\"") } else { format!("\"{text}\" and {rest} bytes more") }
}
