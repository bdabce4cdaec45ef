//! What no handler can do yet, or only a fault in the server would: asked of the machine itself,
//! as the server asks it.

use dustdevil_http::proto::{
    BodyKind, BodyOut, Conn, Event, FieldRange, Head, HeadFacts, HeadOut, Limits, Prefix,
    SendError, Status,
};

/// The machine behind this request's head, and what that said.
fn behind(input: &str) -> (Conn, HeadFacts) {
    let mut conn = Conn::server();
    let mut fields = [FieldRange::default(); 8];
    let mut head = Head::new(&mut fields);
    let step = conn.recv(input.as_bytes(), false, &mut head, &Limits::DEFAULT);
    assert_eq!(step.expect("a good head").event, Some(Event::Head));
    (conn, head.facts)
}

fn sent(conn: &mut Conn, head: &HeadOut<'_>) -> Result<String, SendError> {
    let mut out = [0; 512];
    let len = conn.send_head(&mut out, head)?;
    Ok(String::from_utf8_lossy(&out[..len]).into_owned())
}

const SWITCH: HeadOut<'_> =
    HeadOut { upgrade: Some("websocket"), ..HeadOut::response(Status::SWITCHING_PROTOCOLS) };

/// RFC 9110, 7.8 and 15.2.2: 101 names the protocol and lists `upgrade` as an option of the
/// connection; the offer must be there, and be of HTTP/1.1.
#[test]
fn protocols_are_switched_only_when_that_was_offered() {
    let offer = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    for (version, fields, is_offer) in [
        ("1.1", offer, true),
        ("1.1", "Connection: keep-alive, UPGRADE\r\nUpgrade: websocket\r\n", true),
        ("1.1", "Upgrade: websocket\r\n", false),
        ("1.1", "Connection: upgrade\r\n", false),
        ("1.1", "", false),
        ("1.0", offer, false),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        let (mut conn, facts) = behind(&input);
        assert_eq!(facts.upgrade, is_offer, "{input:?}");
        let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                        Connection: upgrade\r\n\r\n";
        let expected = if is_offer { Ok(expected.to_owned()) } else { Err(SendError::State) };
        assert_eq!(sent(&mut conn, &SWITCH), expected, "{input:?}");
    }
    // And never without the name of the protocol.
    let (mut conn, _) = behind(&format!("GET / HTTP/1.1\r\nHost: a\r\n{offer}\r\n"));
    let nameless = HeadOut { upgrade: None, ..SWITCH };
    assert_eq!(sent(&mut conn, &nameless), Err(SendError::State));
}

/// RFC 9110, 7.8: 100 goes before 101; the machine does not switch while the content is due.
#[test]
fn continue_goes_before_switching_protocols() {
    let (mut conn, facts) = behind(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    assert!(facts.upgrade && facts.expect_continue && conn.wants_continue());
    assert_eq!(sent(&mut conn, &SWITCH), Err(SendError::State));
    let mut out = [0; 64];
    let len = conn.send_continue(&mut out);
    assert_eq!(&out[..len], b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(sent(&mut conn, &SWITCH), Err(SendError::State));
    conn.recv_body(b"hi", false, &Limits::DEFAULT).expect("a good body");
    assert!(sent(&mut conn, &SWITCH).expect("it was offered").starts_with("HTTP/1.1 101 "));
}

/// RFC 9110, 7.8: an offer in another response, and 426, list `upgrade` too.
#[test]
fn upgrade_is_an_option_of_the_connection() {
    for status in [Status::OK, Status::new(426).expect("a status")] {
        let (mut conn, _) = behind("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = HeadOut { upgrade: Some("websocket"), ..HeadOut::response(status) };
        let told = sent(&mut conn, &head).expect("it may be offered");
        assert!(told.contains("\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"), "{told}");
    }
}

/// RFC 9110, 8.6 and 9.3.6, RFC 9112, 6.1: a tunnel begins behind its head, so that frames
/// nothing.
#[test]
fn a_tunnel_has_no_framing() {
    let (mut conn, facts) = behind("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
    assert_eq!(facts.body, BodyKind::None);
    for body in [BodyOut::Length(0), BodyOut::Length(5), BodyOut::Chunked] {
        let head = HeadOut { body, ..HeadOut::response(Status::OK) };
        assert_eq!(sent(&mut conn, &head), Err(SendError::State), "{body:?}");
    }
    assert_eq!(
        sent(&mut conn, &HeadOut::response(Status::OK)).as_deref(),
        Ok("HTTP/1.1 200 OK\r\n\r\n")
    );
    assert!(conn.is_upgraded());
}

/// RFC 9110, 8.6 and RFC 9112, 6.1: a 1xx has no framing; RFC 9110, 15.2: HTTP/1.0 gets none.
#[test]
fn interim_responses_have_no_framing() {
    for body in [BodyOut::None, BodyOut::Length(0), BodyOut::Length(5), BodyOut::Chunked] {
        let hints = HeadOut { body, ..HeadOut::response(Status::EARLY_HINTS) };
        let (mut conn, _) = behind("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(sent(&mut conn, &hints).as_deref(), Ok("HTTP/1.1 103 Early Hints\r\n\r\n"));
        let (mut conn, _) = behind("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(sent(&mut conn, &hints).as_deref(), Ok(""));
    }
}

/// RFC 9110, 2.2: what is written matches the grammar, or nothing is.
#[test]
fn nothing_malformed_is_sent() {
    let ok = HeadOut::response(Status::OK);
    for bad in [
        HeadOut { fields: &[("X Y", b"1")], ..ok },
        HeadOut { fields: &[("X:", b"1")], ..ok },
        HeadOut { fields: &[("", b"1")], ..ok },
        HeadOut { fields: &[("X", b"1\r\nY: 2")], ..ok },
        HeadOut { fields: &[("X", b"1\r\n 2")], ..ok },
        HeadOut { fields: &[("X", b"1\r2")], ..ok },
        HeadOut { fields: &[("X", b"1\n")], ..ok },
        HeadOut { fields: &[("X", b"\0")], ..ok },
        HeadOut { server: Some("a\r\nb"), ..ok },
    ] {
        let (mut conn, _) = behind("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(sent(&mut conn, &bad), Err(SendError::Field), "{bad:?}");
        assert!(!conn.send_started());
    }
    let mut prefix = Prefix::new();
    assert!(prefix.render("a\r\nb", None).is_err());
}

/// RFC 9110, 2.3: what this side writes the other side can read, up to the longest head.
#[test]
fn a_head_as_long_as_any_is_read() {
    let limits = Limits::DEFAULT;
    let longest = limits.head_bytes_max.min(usize::from(u16::MAX));
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    let input = format!("{start}{}\r\n\r\n", "x".repeat(longest - start.len() - 4));
    assert_eq!(input.len(), longest);
    let (_, facts) = behind(&input);
    assert_eq!(facts.fields, 2);
}

/// RFC 9110, 6.5.1: what frames, routes, authenticates or says how to take a message comes before
/// it, or not at all.
#[test]
fn trailers_that_are_none_are_refused() {
    for (name, is_trailer) in [
        ("X-Sum", true),
        ("ETag", true),
        ("Server-Timing", true),
        ("Content-Length", false),
        ("transfer-encoding", false),
        ("Host", false),
        ("Cache-Control", false),
        ("Authorization", false),
        ("Set-Cookie", false),
        ("Content-Type", false),
        ("Content-Range", false),
        ("Trailer", false),
        ("X Y", false),
    ] {
        let (mut conn, _) = behind("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = HeadOut { body: BodyOut::Chunked, ..HeadOut::response(Status::OK) };
        sent(&mut conn, &head).expect("a good head");
        let mut out = [0; 64];
        let ended = conn.finish_with(&mut out, 0, &[(name, b"1")]);
        let ended = ended.map(|len| String::from_utf8_lossy(&out[..len]).into_owned());
        let section = format!("0\r\n{name}: 1\r\n\r\n");
        assert_eq!(ended, if is_trailer { Ok(section) } else { Err(SendError::Field) }, "{name}");
    }
}
