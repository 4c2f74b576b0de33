use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn list(text: impl AsRef<[u8]>) -> Vec<String> {
    // A tiny buffer, so that lines are cut in every way a reader may cut them.
    let reader = BufReader::with_capacity(7, io::Cursor::new(text.as_ref().to_vec()));
    TargetList::new("targets.txt", reader, 53).map(shown_item).collect()
}

fn shown_item(item: Result<SocketAddr, TargetError>) -> String {
    item.map_or_else(|error| error.to_string(), |target| target.to_string())
}

#[test]
fn every_form_of_line() {
    for (text, targets) in [
        ("", vec![]),
        ("\n  \r\n# comment\n", vec![]),
        ("10.0.0.1", vec!["10.0.0.1:53"]),
        ("  10.0.0.1\t# here\r\n", vec!["10.0.0.1:53"]),
        ("10.0.0.1:5353\n10.0.0.2", vec!["10.0.0.1:5353", "10.0.0.2:53"]),
        ("2001:db8::1", vec!["[2001:db8::1]:53"]),
        ("[2001:db8::1]", vec!["[2001:db8::1]:53"]),
        ("[2001:db8::1]:80", vec!["[2001:db8::1]:80"]),
        ("10.0.0.254/31", vec!["10.0.0.254:53", "10.0.0.255:53"]),
        ("10.0.0.255/31:80", vec!["10.0.0.254:80", "10.0.0.255:80"]),
        ("[2001:db8::/127]:80", vec!["[2001:db8::]:80", "[2001:db8::1]:80"]),
        ("2001:db8::/128", vec!["[2001:db8::]:53"]),
        ("[::1]/127", vec!["[::]:53", "[::1]:53"]),
        ("[2001:db8::]/127:80", vec!["[2001:db8::]:80", "[2001:db8::1]:80"]),
        ("\u{feff}10.0.0.1\n10.0.0.2", vec!["10.0.0.1:53", "10.0.0.2:53"]),
        ("\u{feff}10.0.0.1", vec!["10.0.0.1:53"]),
        ("\u{feff}", vec![]),
        ("10.0.0.254-10.0.1.0", vec!["10.0.0.254:53", "10.0.0.255:53", "10.0.1.0:53"]),
        ("10.0.0.1-2:80", vec!["10.0.0.1:80", "10.0.0.2:80"]),
        ("2001:db8::f-10", vec!["[2001:db8::f]:53", "[2001:db8::10]:53"]),
        ("255.255.255.255/32", vec!["255.255.255.255:53"]),
        ("::ffff:192.0.2.1", vec!["192.0.2.1:53"]),
        ("[::ffff:192.0.2.1]:80", vec!["192.0.2.1:80"]),
        ("[::ffff:192.0.2.0/127]:80", vec!["192.0.2.0:80", "192.0.2.1:80"]),
        (
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            vec!["[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:53"],
        ),
    ] {
        assert_eq!(list(text), targets, "{text:?}");
    }
}

#[test]
fn a_bad_line_is_named_and_the_next_one_read() {
    for (line, error) in [
        ("10.0.0.300", "\"10.0.0.300\": not an address"),
        ("example.com", "\"example.com\": not an address"),
        (
            "fe80::1%eth0",
            "\"fe80::1%eth0\": an address stands here without its zone; name the interface with --bind-if",
        ),
        (
            "[fe80::1%3]:53",
            "\"[fe80::1%3]:53\": an address stands here without its zone; name the interface with --bind-if",
        ),
        ("[::1/64]/127", "\"[::1/64]/127\": not a prefix length"),
        ("\u{feff}10.0.0.1", "\"\\u{feff}10.0.0.1\": not an address"),
        ("10.0.0.1:0", "\"10.0.0.1:0\": not a port from 1 to 65535"),
        ("10.0.0.1:+80", "\"10.0.0.1:+80\": not a port from 1 to 65535"),
        ("10.0.0.1:", "\"10.0.0.1:\": not a port from 1 to 65535"),
        ("10.0.0.1/33", "\"10.0.0.1/33\": not a prefix length"),
        ("10.0.0.9-3", "\"10.0.0.9-3\": the range ends before it begins"),
        ("10.0.0.9-::1", "\"10.0.0.9-::1\": the ends of a range must be of one family"),
        ("[::1", "\"[::1\": not of the form [ADDRESS] or [ADDRESS]:PORT"),
        ("[::1]80", "\"[::1]80\": not of the form [ADDRESS] or [ADDRESS]:PORT"),
        ("a\x1b[31mb", "\"a\\u{1b}[31mb\": not an address"),
    ] {
        let expected =
            vec!["1.1.1.1:53".to_owned(), format!("targets.txt:2: {error}"), "2.2.2.2:53".into()];
        assert_eq!(list(format!("1.1.1.1\n{line}\n2.2.2.2")), expected, "{line:?}");
    }
    assert_eq!(
        list(b"\n10.0.0.\xff1\n2.2.2.2"),
        ["targets.txt:2: \"10.0.0.\u{fffd}1\": not UTF-8 text", "2.2.2.2:53"]
    );
}

#[test]
fn a_family_that_cannot_be_probed_is_an_error_of_its_line() {
    let lines = "10.0.0.1\n2001:db8::/64\n10.0.0.2\n";
    let targets = |ipv4, ipv6| -> Vec<String> {
        let list = TargetList::new("t", lines.as_bytes(), 53).with_families(ipv4, ipv6);
        list.take(3)
            .map(|target| target.map_or_else(|error| error.to_string(), |it| it.to_string()))
            .collect()
    };
    let error = "t:2: \"2001:db8::\": no --bindto address is of its family";
    assert_eq!(targets(true, false), ["10.0.0.1:53", error, "10.0.0.2:53"]);
    let error = "t:1: \"10.0.0.1\": no --bindto address is of its family";
    assert_eq!(targets(false, true), [error, "[2001:db8::]:53", "[2001:db8::1]:53"]);
}

#[test]
fn a_line_too_long_is_not_held() {
    let text = format!("{}\n1.1.1.1\n{}", "x".repeat(1_000_000), "y".repeat(5000));
    let reader = BufReader::with_capacity(512, io::Cursor::new(text));
    let mut targets = TargetList::new("t", reader, 53);
    let shown = "x".repeat(SHOWN_BYTES_MAX);
    assert_eq!(
        targets.next().expect("a line").expect_err("too long").to_string(),
        format!("t:1: \"{shown}...\": longer than 4096 bytes")
    );
    assert!(targets.lines.part.capacity() < 3 * LINE_BYTES_MAX);
    assert!(targets.next().expect("a line").is_ok());
    let last = targets.next().expect("a line").expect_err("too long");
    assert!(matches!((last.line, last.problem), (3, TargetProblem::TooLong)));
    assert!(targets.next().is_none());
    // Exactly at the limit.
    let longest = format!("10.0.0.1 #{}", "c".repeat(LINE_BYTES_MAX - 10));
    assert_eq!(list(&longest), ["10.0.0.1:53"]);
    assert!(list(longest + "c")[0].ends_with("longer than 4096 bytes"));
}

#[test]
fn an_error_in_reading_is_the_last_item() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let reader = BufReader::new(io::Read::chain(&b"10.0.0.1\n10.0."[..], Broken));
    let mut targets = TargetList::new("t", reader, 53);
    assert!(targets.next().expect("a line").is_ok());
    let error = targets.next().expect("the error").expect_err("the disk is gone");
    assert_eq!(error.to_string(), "t:2: cannot read: the disk is gone");
    assert!(targets.next().is_none());
}

#[test]
fn a_large_network_is_counted_out_lazily() {
    let count = |text: &'static str| TargetList::new("t", text.as_bytes(), 53).count();
    assert_eq!(count("10.0.0.0/12"), 1 << 20);
    let mut all = TargetList::new("t", &b"2000::/3"[..], 53);
    assert_eq!(all.next().expect("first").expect("valid").to_string(), "[2000::]:53");
    assert_eq!(all.nth(65_535).expect("next").expect("valid").to_string(), "[2000::1:0]:53");
    let mut all = TargetList::new("t", &b"0.0.0.0/0"[..], 53);
    assert_eq!(all.nth(256).expect("next").expect("valid").to_string(), "0.0.1.0:53");
}

#[test]
fn a_missing_file_is_an_error_of_open() {
    let missing = Path::new("/nonexistent/list");
    let text = "/nonexistent/list: cannot read: No such file or directory (os error 2)";
    assert_eq!(TargetList::open(missing, 53).err().expect("not there").to_string(), text);
    assert_eq!(crate::fleet::ExcludeList::open(missing).expect_err("not there").to_string(), text);
}

#[test]
fn the_quick_way_through_a_list_finds_what_the_general_way_finds() {
    let mut random = StdRng::seed_from_u64(7);
    let mut plain = 0;
    for _ in 0..2_000 {
        let lines: String = (0..20)
            .map(|_| {
                let mut part = || random.random_range(0..300_u32).to_string();
                let mut line = [part(), part(), part(), part()].join(".");
                line += [":53", ":0", ":65535", ":70000", ":007", "", "", "", "", ""]
                    [random.random_range(0..10)];
                if random.random_range(0..4) == 0 {
                    let at = random.random_range(0..=line.len());
                    line.insert(
                        at,
                        ['.', ' ', '#', '0', '9', ':', '\r', '\n'][random.random_range(0..8)],
                    );
                }
                line + ["\n", "\n", "\n", "\r\n"][random.random_range(0..4)]
            })
            .collect();
        let capacity = random.random_range(20..200);
        let reader = BufReader::with_capacity(capacity, lines.as_bytes());
        let mut quick = TargetList::new("targets.txt", reader, 53);
        let found: Vec<String> = std::iter::from_fn(|| match quick.next_plain() {
            Some(target) => {
                plain += 1;
                Some(target.to_string())
            }
            None => quick.next().map(shown_item),
        })
        .collect();
        assert_eq!(found, list(&lines), "{lines:?}");
    }
    assert!(plain > 2_000, "{plain}");
}
