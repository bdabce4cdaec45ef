//! Routes: a constant table of methods and patterns, matched segment by segment.
//!
//! Invariants: the path is split at `/` before anything is decoded, so that an encoded slash never
//! makes a segment (pitfall of decoding routers); a parameter is a part of the head, never a copy;
//! the first pattern in the table that matches wins.
//!
//! A pattern is a path in which a segment `{name}` takes any one segment that is not empty, and a
//! last segment `{name*}` takes the rest of the path, possibly empty.
//!
//! What no route answers (RFC 9110, 9.1, 9.3.7, 15.5.6, 15.6.2): a method that nobody here knows is
//! 501, and so is CONNECT; a path with other methods is 405 with `Allow`, or 204 with it where
//! OPTIONS asks; `OPTIONS *` names every method of the table; else 404.
//!
//! Place: above [`Exchange`], used by the [`routes!`](crate::routes) macro.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::proto::{Method, Status};
use crate::server::exchange::{Exchange, Fault, RequestHead, Sent};

/// One line of the table. Built by [`routes!`](crate::routes).
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub(crate) pattern: &'static str,
    /// Longest request body in bytes; `None`: the server's own limit.
    pub(crate) body_bytes_max: Option<u64>,
    /// [`Method::Other`]: any.
    method: Method,
    /// Bytes of the pattern before its first parameter: a path begins with the same.
    literal_len: u16,
}

impl Route {
    /// A route; the method `ANY` stands for every one, also those that have no name here.
    ///
    /// # Panics
    /// At compile time in a `const`: when the method is unknown or the pattern malformed.
    pub const fn new(method: &str, pattern: &'static str) -> Self {
        let known = Method::from_bytes(method.as_bytes());
        let any = matches!(method.as_bytes(), b"ANY");
        assert!(any || !matches!(known, Method::Other), "a route with an unknown method");
        let literal_len = literal_len(pattern);
        assert!(literal_len <= u16::MAX as usize, "a pattern longer than any target");
        Self { pattern, body_bytes_max: None, method: known, literal_len: literal_len as u16 }
    }

    /// The same for request bodies of up to `bytes`, whatever
    /// [`Limits::body_bytes_max`](crate::Limits::body_bytes_max) says.
    pub const fn body(mut self, bytes: u64) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// What is behind `path`'s literal beginning, in the pattern and in the path; `None`: they
    /// begin differently.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn parts<'p>(&self, path: &'p [u8]) -> Option<(&'static [u8], &'p [u8])> {
        let (literal, pattern) =
            self.pattern.as_bytes().split_at_checked(self.literal_len.into())?;
        Some((pattern, path.strip_prefix(literal)?))
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn matches(&self, path: &[u8]) -> bool {
        if usize::from(self.literal_len) == self.pattern.len() {
            return self.pattern.as_bytes() == path;
        }
        self.parts(path).is_some_and(|(pattern, rest)| matches(pattern, rest))
    }

    /// The value of parameter `name` in `path`, which matched.
    pub(crate) fn param<'p>(&self, path: &'p [u8], name: &str) -> Option<&'p [u8]> {
        let (mut pattern, mut rest) = self.parts(path)?;
        loop {
            let (part, more) = cut(pattern);
            // Behind the last segment of a pattern there is no slash in the path.
            let (segment, behind) = if more.is_some() { cut(rest) } else { (rest, None) };
            match placeholder(part) {
                Some([key @ .., b'*']) if key == name.as_bytes() => return Some(rest),
                Some(key) if key == name.as_bytes() => return Some(segment),
                _ => (pattern, rest) = (more?, behind.unwrap_or_default()),
            }
        }
    }

    /// The methods it answers: a bit for each, by its number.
    const fn methods(&self) -> u16 {
        match self.method {
            Method::Get => bit(Method::Get) | bit(Method::Head),
            Method::Other => ALL_METHODS,
            other => bit(other),
        }
    }
}

const fn bit(method: Method) -> u16 {
    1 << method as u16
}

/// Every method with a name that an origin server has a use for: not CONNECT.
const ALL_METHODS: u16 = bit(Method::Other) - 1 - bit(Method::Connect);

/// What a request line matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The route at this index.
    Found(usize),
    /// The path exists with other methods: a bit for each [`Method`], by its number.
    OtherMethods(u16),
    /// No pattern matches.
    NotFound,
}

/// The first route that answers `head`, whose parameters are then found through it. `HEAD` is
/// answered by a `GET` route where there is none of its own; the machine sends no body then.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn find(table: &'static [Route], head: &RequestHead<'_>) -> Match {
    let (method, path) = head.start();
    let matched = select(table, method, path);
    if let Match::Found(index) = matched
        && let Some(route) = table.get(index)
    {
        head.set_route(route);
    }
    matched
}

#[cfg_attr(not(target_os = "none"), inline(always))]
fn select(table: &[Route], method: Method, path: &[u8]) -> Match {
    let mut others = 0;
    let mut get = None;
    for (index, route) in table.iter().enumerate() {
        if !route.matches(path) {
            continue;
        }
        if route.method == method || route.method == Method::Other {
            return Match::Found(index);
        }
        if route.method == Method::Get {
            get = get.or(Some(index));
        }
        others |= route.methods();
    }
    match (method, get) {
        (Method::Head, Some(index)) => Match::Found(index),
        _ => unmatched_path(table, path, others),
    }
}

/// What is left to say: `others` are the methods that the path has.
#[cold]
#[inline(never)]
fn unmatched_path(table: &[Route], path: &[u8], others: u16) -> Match {
    // The whole server (RFC 9110, 9.3.7): no pattern is `*`, and only OPTIONS gets here with it.
    let whole = path == b"*";
    let others =
        if whole { table.iter().fold(0, |all, route| all | route.methods()) } else { others };
    if others == 0 && !whole {
        return Match::NotFound;
    }
    Match::OtherMethods(others | bit(Method::Options))
}

/// Whether `path` fits `pattern`, both from the beginning of a segment.
fn matches(mut pattern: &[u8], mut path: &[u8]) -> bool {
    loop {
        let (part, more) = cut(pattern);
        let (segment, behind) = cut(path);
        let fits = match placeholder(part) {
            // The rest of the path, which begins behind a slash.
            Some([.., b'*']) => return true,
            Some(_) => !segment.is_empty(),
            None => segment == part,
        };
        match (more, behind) {
            (Some(more), Some(behind)) if fits => (pattern, path) = (more, behind),
            (None, None) => return fits,
            _ => return false,
        }
    }
}

/// The first segment of a path or a pattern, and what is behind its slash, if it has one.
#[cfg_attr(target_os = "none", inline(never))]
fn cut(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|&byte| byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..)),
        None => (path, None),
    }
}

fn placeholder(part: &[u8]) -> Option<&[u8]> {
    part.strip_prefix(b"{")?.strip_suffix(b"}")
}

/// Bytes before the first parameter of a pattern, which is checked: all of one that has none.
const fn literal_len(pattern: &str) -> usize {
    let bytes = pattern.as_bytes();
    assert!(!bytes.is_empty() && bytes[0] == b'/', "a pattern that does not begin with a slash");
    let (mut at, mut literal_len, mut open, mut rest) = (0, bytes.len(), false, false);
    while at < bytes.len() {
        assert!(!rest || bytes[at] == b'}', "a `{{name*}}` that is not the last segment");
        match bytes[at] {
            b'{' => {
                assert!(!open && bytes[at - 1] == b'/', "a `{{` that does not begin a segment");
                if at < literal_len {
                    literal_len = at;
                }
                open = true;
            }
            b'}' => {
                let ends = at + 1 == bytes.len() || bytes[at + 1] == b'/';
                assert!(open && ends, "a `}}` that does not end a segment");
                open = false;
            }
            b'*' if open => rest = true,
            b'/' => assert!(!open, "a slash inside of a parameter"),
            b'?' | b'#' => panic!("a pattern is a path: no query, no fragment"),
            _ => {}
        }
        at += 1;
    }
    assert!(!open, "a `{{` without its `}}`");
    literal_len
}

/// Writes an application's [`Application`](crate::Application) from a table of routes: a chain of
/// two-way choices made once, before the first poll, as large as its largest handler and 8 bytes.
///
/// Handlers are `async fn(&App, Exchange<'_>) -> Result<Sent, Fault>`. What no route matches is
/// answered 404; another method 405 with `Allow`, one that nobody knows 501, OPTIONS 204. The
/// method `ANY` takes them all. `body` is the longest request body of a route in bytes, in place
/// of the server's [`Limits::body_bytes_max`](crate::Limits::body_bytes_max): beyond it, 413.
///
/// ```
/// use dustdevil_http::{Exchange, Fault, Sent, routes, text};
/// struct App;
/// routes!(App {
///     GET "/" => hello,
///     GET "/user/{id}" => user,
///     PUT "/user/{id}" body 4 * 1024 => user,
/// });
/// async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
///     x.out.reply(text("Hello, world")).await
/// }
/// async fn user(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
///     x.out.reply(text(x.head.param("id").unwrap_or(""))).await
/// }
/// ```
///
/// An application with a lifetime is `routes!(App<'_> { .. })`, a generic one
/// `routes!(impl[L: Led] App<L> { .. })`. Above about 120 routes a crate needs
/// `#![recursion_limit = "256"]`.
#[macro_export]
macro_rules! routes {
    (impl[$($generics:tt)*] $app:ty { $($routes:tt)* }) => {
        $crate::routes!(@impl [$($generics)*] $app; $($routes)*);
    };
    ($app:ty { $($routes:tt)* }) => {
        $crate::routes!(@impl [] $app; $($routes)*);
    };
    (
        @impl [$($generics:tt)*] $app:ty;
        $($method:ident $pattern:literal $(body $limit:expr)? => $handler:path),* $(,)?
    ) => {
        impl<$($generics)*> $crate::Application for $app {
            fn respond(
                &self,
                exchange: $crate::Exchange<'_>,
            ) -> impl ::core::future::Future<
                Output = ::core::result::Result<$crate::Sent, $crate::Fault>,
            > {
                const TABLE: &[$crate::web::routes::Route] = &[$(
                    $crate::web::routes::Route::new(stringify!($method), $pattern)
                        $(.body($limit))?
                ),*];
                let matched = $crate::web::routes::find(TABLE, &exchange.head);
                let index = match matched {
                    $crate::web::routes::Match::Found(index) => index,
                    _ => TABLE.len(),
                };
                $crate::routes!(@chain index, 0, self, exchange, matched; $($handler),*)
            }
        }
    };
    (@chain $index:ident, $at:expr, $app:ident, $x:ident, $matched:ident;) => {
        $crate::web::routes::unmatched($matched, $x)
    };
    (@chain $index:ident, $at:expr, $app:ident, $x:ident, $matched:ident;
     $handler:path $(, $rest:path)*) => {
        if $index == $at {
            $crate::Either::Left($handler($app, $x))
        } else {
            $crate::Either::Right(
                $crate::routes!(@chain $index, $at + 1, $app, $x, $matched; $($rest),*)
            )
        }
    };
}

/// Answers what no route does. Used by [`routes!`](crate::routes).
pub fn unmatched(matched: Match, exchange: Exchange<'_>) -> Unmatched {
    Unmatched(match (exchange.head.method(), matched) {
        (Method::Other | Method::Connect, _) => Status::NOT_IMPLEMENTED,
        (method, Match::OtherMethods(methods)) => {
            exchange.head.set_allow(methods);
            if method == Method::Options { Status::NO_CONTENT } else { Status::METHOD_NOT_ALLOWED }
        }
        _ => Status::NOT_FOUND,
    })
}

/// See [`unmatched`].
pub struct Unmatched(Status);

impl Future for Unmatched {
    type Output = Result<Sent, Fault>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(Fault::Http(self.0)))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn patterns_match_segment_by_segment() {
        for (pattern, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/a/", false),
            ("/user/{id}", "/user/7", true),
            ("/user/{id}", "/user/", false),
            ("/user/{id}", "/user/7/x", false),
            ("/user/{id}", "/user/a%2Fb", true),
            ("/user/{id}/x", "/user/7/x", true),
            ("/files/{path*}", "/files/a/b/c", true),
            ("/files/{path*}", "/files/", true),
            ("/files/{path*}", "/files", false),
            ("/{a}/{b}", "/1/2", true),
            ("/{a}/{b}", "/1", false),
            ("/user/{id}", "/user", false),
            ("/user/{id}", "/users/7", false),
            ("/user/{id}/x", "/user/7/y", false),
            ("/user/{id}/x", "/user/7/x/", false),
            ("/{a}/{b*}", "/1/", true),
            ("/user/{id}", "*", false),
        ] {
            let route = Route::new("GET", pattern);
            assert_eq!(route.matches(path.as_bytes()), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn parameters_are_parts_of_the_path() {
        for (pattern, path, name, expected) in [
            ("/user/{id}", "/user/7", "id", Some("7")),
            ("/user/{id}", "/user/7", "no", None),
            ("/user/{id}/{tab}", "/user/7/posts", "tab", Some("posts")),
            ("/files/{path*}", "/files/a/b", "path", Some("a/b")),
            ("/files/{path*}", "/files/", "path", Some("")),
            ("/user/{id}", "/user/a%2Fb", "id", Some("a%2Fb")),
            ("/{a}/x/{b*}", "/1/x/2/3", "a", Some("1")),
            ("/{a}/x/{b*}", "/1/x/2/3", "b", Some("2/3")),
            ("/{a}/x/{b*}", "/1/x/2/3", "x", None),
        ] {
            let value = Route::new("GET", pattern).param(path.as_bytes(), name);
            assert_eq!(value, expected.map(str::as_bytes), "{pattern} {path} {name}");
        }
    }

    #[test]
    fn methods_choose_among_patterns() {
        const TABLE: &[Route] = &[
            Route::new("GET", "/"),
            Route::new("POST", "/"),
            Route::new("GET", "/x/{a}"),
            Route::new("GET", "/x/y"),
            Route::new("PUT", "/z"),
            Route::new("ANY", "/any"),
        ];
        let others = |methods: &[Method]| {
            Match::OtherMethods(methods.iter().fold(bit(Method::Options), |all, &m| all | bit(m)))
        };
        let root = others(&[Method::Get, Method::Head, Method::Post]);
        for (method, path, expected) in [
            (Method::Get, "/", Match::Found(0)),
            (Method::Head, "/", Match::Found(0)),
            (Method::Post, "/", Match::Found(1)),
            (Method::Get, "/x/y", Match::Found(2)),
            (Method::Delete, "/", root),
            (Method::Options, "/", root),
            (Method::Other, "/", root),
            (Method::Head, "/z", others(&[Method::Put])),
            (Method::Get, "/q", Match::NotFound),
            (Method::Other, "/any", Match::Found(5)),
            (Method::Head, "/any", Match::Found(5)),
            (Method::Options, "*", Match::OtherMethods(ALL_METHODS)),
        ] {
            assert_eq!(select(TABLE, method, path.as_bytes()), expected, "{method:?} {path}");
        }
    }

    #[test]
    fn the_whole_server_has_the_methods_of_all_routes() {
        const TABLE: &[Route] = &[Route::new("POST", "/a"), Route::new("GET", "/b")];
        let all = [Method::Get, Method::Head, Method::Post, Method::Options];
        let all = all.iter().fold(0, |all, &method| all | bit(method));
        assert_eq!(select(TABLE, Method::Options, b"*"), Match::OtherMethods(all));
        let none = Match::OtherMethods(bit(Method::Options));
        assert_eq!(select(&[], Method::Options, b"*"), none);
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["", "a", "/{a", "/a}", "/{a*}/b", "/x{a}", "/{a}x", "/{a/b}", "/?q"] {
            let refused = std::panic::catch_unwind(|| literal_len(pattern));
            assert!(refused.is_err(), "{pattern}");
        }
    }
}
