//! What a reader understood of a byte stream, whoever it was.

use std::collections::BTreeSet;
use std::fmt;

use dustdevil_http::proto::BodyKind;

/// A field's name and value.
pub type Field = (Vec<u8>, Vec<u8>);

/// What a head means beyond its text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// How the body ends.
    pub body: BodyKind,
    /// Whether the connection may go on behind the message.
    pub keep_alive: bool,
    /// Whether the peer waits for `100 Continue`.
    pub expect: bool,
    /// Whether another protocol is offered or taken.
    pub upgrade: bool,
    /// Request: who is asked.
    pub host: Vec<u8>,
    /// Request: the target's path.
    pub path: Vec<u8>,
    /// Request: the target's query.
    pub query: Option<Vec<u8>>,
}

/// One message, as far as it was read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Request: method, target, version. Response: version, code, reason.
    pub start: [Vec<u8>; 3],
    /// The fields, in order.
    pub fields: Vec<Field>,
    /// What the head means; left empty by a reader that does not tell.
    pub facts: Facts,
    /// The body's bytes so far.
    pub body: Vec<u8>,
    /// The trailer fields so far.
    pub trailers: Vec<Field>,
    /// Offset behind the message; `None`: it was not read to its end.
    pub end: Option<usize>,
}

/// How a stream ended for a reader.
#[derive(Clone, PartialEq, Eq)]
pub enum End {
    /// Between two messages.
    Clean,
    /// What follows this offset is not to be read: the last message ends the connection.
    Rest(usize),
    /// What follows this offset belongs to another protocol.
    Tunnel(usize),
    /// In the middle of a message, for a reader that was not told that no more comes.
    Open,
    /// Something cannot be accepted: the statuses that say so, any if there are none, and why.
    Rejected(BTreeSet<u16>, String),
}

/// The messages of a stream, and how it ended. The last message may not be whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Reading {
    /// Each message whose head was accepted.
    pub messages: Vec<Message>,
    /// How it ended.
    pub end: End,
}

impl Message {
    /// The code of a response.
    pub fn code(&self) -> u16 {
        std::str::from_utf8(&self.start[1]).ok().and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The value of the first field with this name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let field = self.fields.iter().find(|own| own.0.eq_ignore_ascii_case(name.as_bytes()));
        field.map(|own| &own.1[..])
    }
}

impl End {
    /// A rejection with this status; 0: any.
    pub fn rejected(status: u16, why: &str) -> Self {
        Self::Rejected((status != 0).then_some(status).into_iter().collect(), why.to_owned())
    }
}

struct Text<'a>(&'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |on: bool, name: &'static str| if on { name } else { "" };
        write!(
            f,
            "{:?}{}{}{} host {:?} path {:?} query {:?}",
            self.body,
            flag(!self.keep_alive, " close"),
            flag(self.expect, " expect"),
            flag(self.upgrade, " upgrade"),
            Text(&self.host),
            Text(&self.path),
            self.query.as_deref().map(Text)
        )
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = &self.start;
        write!(f, "\n  {:?} {:?} {:?}: {:?}", Text(a), Text(b), Text(c), self.facts)?;
        for (name, value) in &self.fields {
            write!(f, "\n    {:?} = {:?}", Text(name), Text(value))?;
        }
        write!(f, "\n    body {:?}", Text(&self.body))?;
        for (name, value) in &self.trailers {
            write!(f, "\n    trailer {:?} = {:?}", Text(name), Text(value))?;
        }
        write!(f, "\n    ends at {:?}", self.end)
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("clean"),
            Self::Rest(at) => write!(f, "rest from {at}"),
            Self::Tunnel(at) => write!(f, "tunnel from {at}"),
            Self::Open => f.write_str("open"),
            Self::Rejected(statuses, why) => write!(f, "rejected {statuses:?}: {why}"),
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for message in &self.messages {
            write!(f, "{message:?}")?;
        }
        write!(f, "\n  {:?}", self.end)
    }
}
