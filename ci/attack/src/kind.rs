//! The attacks: a name, and a script for each of its variants.

use crate::script::{Part, Script};

/// How one attacker of a kind behaves.
#[derive(Clone, Copy)]
pub struct Variant {
    /// Its name, behind the kind's: `slow-head/drip`.
    pub name: &'static str,
    /// Makes its script.
    pub script: fn() -> Script,
}

/// An attack: attackers take its variants in turn.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// How its attackers behave.
    pub variants: &'static [Variant],
}

const fn variant(name: &'static str, script: fn() -> Script) -> Variant {
    Variant { name, script }
}

/// Every attack.
pub const KINDS: &[Kind] = &[
    Kind { name: "slow-head", variants: SLOW_HEAD },
    Kind { name: "slow-body", variants: SLOW_BODY },
    Kind { name: "slow-read", variants: SLOW_READ },
    Kind { name: "reset-storm", variants: RESET_STORM },
    Kind { name: "silent-flood", variants: SILENT_FLOOD },
    Kind { name: "idle-flood", variants: IDLE_FLOOD },
    Kind { name: "pipelining", variants: PIPELINING },
    Kind { name: "endless-chunks", variants: ENDLESS_CHUNKS },
    Kind { name: "huge-heads", variants: HUGE_HEADS },
];

/// The name under which all attacks come at once.
pub const MIXED: &str = "mixed";

const SLOW_HEAD: &[Variant] = &[
    // A byte every half a second, for ever.
    variant("drip", || Script::of([Part::once(BEGUN), Part::drip_for_ever("a", 1, 500)])),
    // It stops half way.
    variant("half", || Script::of([Part::once("GET / HTTP/1.1\r\nHost: a\r\nX-Ha")])),
    // A field at a time, fast enough never to look silent.
    variant("fields", || Script::of([Part::once(LINE), Part::drip_for_ever("X: a\r\n", 6, 100)])),
    // A byte that is no request yet.
    variant("first-byte", || Script::of([Part::once("G")])),
];

const SLOW_BODY: &[Variant] = &[
    variant("length", || Script::of([post("/echo"), Part::drip_for_ever("x", 1, 1_000)])),
    variant("chunked", || {
        Script::of([post_chunked("/echo"), Part::drip_for_ever("1\r\nx\r\n", 6, 1_000)])
    }),
    // A route that answers at once and reads nothing of it.
    variant("ignored", || Script::of([post("/only-post"), Part::drip_for_ever("x", 1, 1_000)])),
    // The head takes as long as it may, then the body trickles.
    variant("late-head", || {
        let head = post("/upload").bytes;
        let piece = head.len().div_ceil(8);
        Script::of([Part::drip(head, piece, 30), Part::drip_for_ever("x", 1, 1_000)])
    }),
    // Never below the rate at which it would be cut off.
    variant("just-enough", || {
        Script::of([post("/upload"), Part::drip_for_ever("x".repeat(60), 60, 1_000)])
    }),
];

const SLOW_READ: &[Variant] = &[
    variant("sip", || Script::of([Part::once(large())]).narrow().sips(1, 1_000)),
    variant("never", || Script::of([Part::once(large())]).narrow().deaf()),
    // As much as fits into kernels first.
    variant("wide-never", || Script::of([Part::once(large())]).deaf()),
    // Never below the rate at which it would be cut off.
    variant("just-enough", || Script::of([Part::once(large())]).narrow().sips(1_200, 1_000)),
    // As fast as it goes, for ever.
    variant("all", || Script::of([Part::flood(large())])),
];

const RESET_STORM: &[Variant] = &[
    variant("connect", || Script::of([]).resets()),
    variant("half", || Script::of([Part::once(LINE)]).resets()),
    variant("whole", || Script::of([Part::once(GET)]).resets()),
    variant("body", || Script::of([post("/echo"), Part::once("x".repeat(1_000))]).resets()),
    variant("pipelined", || Script::of([Part::once(GET.repeat(20))]).resets()),
    variant("large", || Script::of([Part::once(large())]).resets()),
];

const SILENT_FLOOD: &[Variant] = &[
    variant("silent", || Script::of([])),
    // It does not even notice that it was ended.
    variant("holds", || Script::of([]).holds(2_500)),
];

const IDLE_FLOOD: &[Variant] = &[
    variant("idle", || Script::of([Part::once(GET)])),
    variant("holds", || Script::of([Part::once(GET)]).holds(2_500)),
    // It asks again just before anybody would call it idle.
    variant("again", || Script::of([Part::drip_for_ever(GET, GET.len(), 700)])),
];

const PIPELINING: &[Variant] = &[
    variant("unread", || Script::of([Part::flood(GET.repeat(1_000))]).deaf()),
    variant("narrow", || Script::of([Part::flood(GET.repeat(1_000))]).narrow().deaf()),
    variant("sip", || Script::of([Part::flood(GET.repeat(1_000))]).narrow().sips(100, 100)),
    variant("read", || Script::of([Part::flood(GET.repeat(1_000))])),
    variant("posts", || {
        let post = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        Script::of([Part::flood(post.repeat(1_000))])
    }),
    variant("slow-first", || {
        let slow = "GET /slow?ms=1000 HTTP/1.1\r\nHost: a\r\n\r\n";
        Script::of([Part::once(slow), Part::flood(GET.repeat(1_000))])
    }),
];

const ENDLESS_CHUNKS: &[Variant] = &[
    variant("upload", || Script::of([post_chunked("/upload"), Part::flood(chunks())])),
    variant("ignored", || Script::of([post_chunked("/only-post"), Part::flood(chunks())])),
    variant("echo", || Script::of([post_chunked("/echo"), Part::flood(chunks())])),
    variant("upload-paced", || {
        Script::of([post_chunked("/upload"), Part::drip_for_ever("1\r\nx\r\n", 6, 10)])
    }),
    variant("extension", || {
        Script::of([post_chunked("/upload"), Part::once("5;"), Part::flood("a".repeat(8_192))])
    }),
    variant("trailers", || {
        let fields = "X-T: a\r\n".repeat(1_000);
        Script::of([post_chunked("/upload"), Part::once("0\r\n"), Part::flood(fields)])
    }),
    variant("trailers-paced", || {
        let fields = Part::drip_for_ever("X-T: a\r\n", 8, 100);
        Script::of([post_chunked("/upload"), Part::once("0\r\n"), fields])
    }),
];

const HUGE_HEADS: &[Variant] = &[
    variant("field", || {
        Script::of([Part::once(BEGUN), Part::once("a".repeat(65_536)), Part::once("\r\n\r\n")])
    }),
    variant("fields", || {
        let fields: String = (0..10_000).map(|number| format!("F{number}: x\r\n")).collect();
        Script::of([Part::once(LINE), Part::once(fields), Part::once("\r\n")])
    }),
    variant("line", || Script::of([Part::once("GET /"), Part::flood("a".repeat(8_192))])),
    // It goes on behind the refusal, and keeps the connection.
    variant("holds", || {
        Script::of([Part::once(BEGUN), Part::flood("a".repeat(8_192))]).holds(2_500)
    }),
    // The longest head that is read to its end, a piece at a time.
    variant("long", || {
        let fields = "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(40);
        Script::of([Part::once(LINE), Part::drip(fields, 590, 20), Part::once("\r\n")])
    }),
];

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LINE: &str = "GET / HTTP/1.1\r\nHost: a\r\n";
const BEGUN: &str = "GET / HTTP/1.1\r\nHost: a\r\nX: ";

fn post(path: &str) -> Part {
    Part::once(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"))
}

fn post_chunked(path: &str) -> Part {
    Part::once(format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
}

fn large() -> &'static str {
    "GET /large?n=50000000 HTTP/1.1\r\nHost: a\r\n\r\n"
}

fn chunks() -> String {
    "1\r\nx\r\n".repeat(1_000)
}

/// Two crowds that between them make the server use every byte of its tables.
pub(crate) fn warm_up() -> [Script; 2] {
    let answers = Script::of([Part::flood(GET.repeat(1_000))]).narrow().deaf();
    let bodies = Script::of([post("/upload"), Part::once("x".repeat(60_000))]);
    [answers, bodies]
}

/// The scripts of an attack by its name: a kind's (`slow-head`), one variant's
/// (`slow-head/drip`), or those of all kinds at once (`mixed`); `None`: there is none such.
pub fn scripts(name: &str) -> Option<Vec<Script>> {
    if name == MIXED {
        // The first attackers are of different kinds, however few there are.
        let most = KINDS.iter().map(|kind| kind.variants.len()).max().unwrap_or(0);
        let at = |place| KINDS.iter().filter_map(move |kind| kind.variants.get(place));
        return Some((0..most).flat_map(at).map(|variant| (variant.script)()).collect());
    }
    let (kind, wanted) = name.split_once('/').unwrap_or((name, ""));
    let kind = KINDS.iter().find(|own| own.name == kind)?;
    let variants = kind.variants.iter().filter(|own| wanted.is_empty() || own.name == wanted);
    let scripts: Vec<Script> = variants.map(|variant| (variant.script)()).collect();
    Some(scripts).filter(|scripts| !scripts.is_empty())
}

/// The names that [`scripts`] knows, but for those of variants.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name).chain([MIXED])
}

/// The names of all variants.
pub fn variants() -> impl Iterator<Item = String> {
    let of = |kind: &Kind| {
        let name = kind.name;
        kind.variants.iter().map(move |variant| format!("{name}/{}", variant.name))
    };
    KINDS.iter().flat_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_scripts() {
        for name in names().map(str::to_owned).chain(variants()) {
            let scripts = scripts(&name).unwrap_or_else(|| panic!("{name}"));
            for part in scripts.iter().flat_map(|script| &script.parts) {
                assert!((1..=part.bytes.len()).contains(&part.piece), "{name}");
            }
        }
        for name in ["", "slow", "slow-head/", "slow-head/none", "mixed/drip"] {
            assert_eq!(
                scripts(name).map(|scripts| scripts.len()),
                None.or((name == "slow-head/").then_some(4)),
                "{name}"
            );
        }
    }

    #[test]
    fn eight_of_a_mixed_crowd_are_of_eight_kinds() {
        let all: usize = KINDS.iter().map(|kind| kind.variants.len()).sum();
        let mixed = scripts(MIXED).unwrap();
        assert_eq!(mixed.len(), all);
        for (script, kind) in mixed.iter().zip(KINDS) {
            let own = (kind.variants[0].script)();
            assert_eq!(format!("{script:?}"), format!("{own:?}"), "{}", kind.name);
        }
    }
}
