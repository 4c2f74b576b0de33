//! Seeded damage to configurations, as editors, generators and disks do it.

use crate::generate::Random;

/// What may happen to a configuration that a person edits: it stays text, line by line.
pub(crate) fn edit(text: &mut String, random: &mut Random) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return;
    }
    let at = random.below(lines.len());
    let words: Vec<String> = lines[at].split_whitespace().map(str::to_owned).collect();
    match random.below(12) {
        0 => drop_one_of(&mut lines[at], &['{', '}']),
        1 if words.len() > 2 => {
            let (one, other) = (random.below(words.len()), random.below(words.len()));
            let mut words = words;
            words.swap(one, other);
            lines[at] = words.join(" ");
        }
        2 => break_number(&mut lines[at], random),
        3 => drop(lines.remove(at)),
        4 => {
            let line = lines[at].clone();
            lines.insert(at, line);
        }
        5 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
        }
        6 if !words.is_empty() => misspell(&mut lines[at], random),
        7 => {
            // A keyword without its value.
            if let Some(first) = words.first() {
                lines[at] = first.clone();
            }
        }
        8 => lines[at].push_str([" 7", " }", " {", " # {", " \"", " extra"][random.below(6)]),
        9 => {
            let line = LINES[random.below(LINES.len())].to_owned();
            lines.insert(at, line);
        }
        10 => lines.truncate(at),
        _ => {
            if let Some(last) = words.last() {
                let value = VALUES[random.below(VALUES.len())];
                lines[at] = lines[at].replacen(last.as_str(), value, 1);
            }
        }
    }
    *text = lines.join("\n");
    text.push('\n');
}

fn drop_one_of(line: &mut String, letters: &[char]) {
    if let Some(at) = line.find(letters) {
        line.remove(at);
    }
}

fn break_number(line: &mut String, random: &mut Random) {
    if let Some(at) = line.find(|letter: char| letter.is_ascii_digit()) {
        let broken = ["x", "-", "99999999999", ".", "0x1", ""][random.below(6)];
        line.replace_range(at..=at, broken);
    }
}

fn misspell(line: &mut String, random: &mut Random) {
    let letters: Vec<usize> =
        line.char_indices().filter(|(_, c)| c.is_ascii_lowercase()).map(|(at, _)| at).collect();
    if !letters.is_empty() {
        let at = letters[random.below(letters.len())];
        line.replace_range(at..=at, ["q", "", "zz"][random.below(3)]);
    }
}

/// Lines that are wrong in most places.
const LINES: &[&str] = &[
    "delay_loop 6s",
    "retry 0",
    "weight 0",
    "quorum 100000",
    "hysteresis 9",
    "real_server 10.9.9.9 80 {",
    "TCP_CHECK {",
    "}",
    "{",
    "connect_timeout 0",
    "connect_port 0",
    "alpha maybe",
    "unknown_keyword 1",
    "virtual_server 10.0.0.400 80 {",
    "lvs_sched magic",
    "lvs_method NONE",
    "protocol ICMP",
    "include nothing-here-*.conf",
    "includea nothing-here.conf",
    "$X=7",
    "weight ${X}",
    "~SEQ(I, 1, 3) real_server 10.8.8.${I} 80 {}",
    "@never weight 9",
    "connect_ip 10.0.0.1",
    "bindto ::1",
    "helo_name",
    "misc_path",
];

const VALUES: &[&str] = &[
    "0",
    "-1",
    "65536",
    "1.5",
    "6s",
    "0x10",
    "on",
    "maybe",
    "\"\"",
    "10.0.0.300",
    "::1",
    "$Y",
    "{",
];
