//! Lists of targets, streamed: one address at a time, in memory that grows neither with the list nor
//! with the networks in it.
//!
//! A line is `ADDR`, `ADDR:PORT`, `[ADDR6]:PORT`, `NET/PREFIX`, `A-B` or `A-N` (N replaces the last part);
//! networks and ranges take a port too: `10.0.0.0/24:53`, `[2001:db8::/120]:53`, which may also be written
//! `[2001:db8::]/120:53`. All addresses of a network are targets, the first and the last included. `#`
//! begins a comment; blank lines and a byte order mark are skipped.

mod plain;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use memchr::memchr;
use thiserror::Error;

use super::range::{AddressRange, RangeError};
use crate::conf::BYTE_ORDER_MARK;

/// Bytes a line may have. A longer one is an error and never held.
pub const LINE_BYTES_MAX: usize = 4096;

/// Bytes of a bad line that its error shows.
const SHOWN_BYTES_MAX: usize = 80;

const READ_BYTES: usize = 256 * 1024;

/// A line that is no target.
#[derive(Debug, Error)]
#[error("{name}{line}: {text}{problem}", line = ShownLine(*line), text = ShownText(text))]
pub struct TargetError {
    /// Name of the list.
    pub name: Arc<str>,
    /// From 1; 0 where the list could not be opened.
    pub line: u64,
    /// The beginning of the line, printable; empty where there is nothing to show.
    pub text: String,
    /// What is wrong with it.
    pub problem: TargetProblem,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum TargetProblem {
    /// The part that names addresses.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// After the last colon.
    #[error("not a port from 1 to 65535")]
    Port,
    /// In a list of addresses that are never probed.
    #[error("a port cannot be excluded, only an address")]
    PortInExclude,
    /// `[` without `]`, or something else than a prefix length or a port behind it.
    #[error("not of the form [ADDRESS] or [ADDRESS]:PORT")]
    Bracket,
    /// `%` and an interface behind an address.
    #[error("an address stands here without its zone; name the interface with --bind-if")]
    Zone,
    /// Source addresses were given, but none for this family.
    #[error("no --bindto address is of its family")]
    Family,
    /// Neither the line nor the list says one.
    #[error("no port; give it here or with --port")]
    NoPort,
    /// More than [`LINE_BYTES_MAX`] bytes.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// Reading failed; nothing more comes.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
}

struct ShownLine(u64);

impl fmt::Display for ShownLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, ":{}", self.0) }
    }
}

struct ShownText<'t>(&'t str);

impl fmt::Display for ShownText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "\"{}\": ", self.0) }
    }
}

/// What one line says.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) range: AddressRange,
    pub(super) port: Option<u16>,
}

impl Entry {
    /// Reads a line without blanks around it.
    fn parse(text: &str) -> Result<Entry, TargetProblem> {
        if text.contains('%') && text.contains(':') {
            return Err(TargetProblem::Zone);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, behind) = rest.split_once(']').ok_or(TargetProblem::Bracket)?;
            let (prefix, port) = match behind.split_once(':') {
                Some((prefix, port)) => (prefix, Some(parse_port(port)?)),
                None => (behind, None),
            };
            let range = match prefix {
                "" => AddressRange::parse(inside)?,
                _ if prefix.starts_with('/') => AddressRange::parse(&format!("{inside}{prefix}"))?,
                _ => return Err(TargetProblem::Bracket),
            };
            return Ok(Entry { range, port });
        }
        // One colon cannot be IPv6, which has at least two.
        let (addresses, port) = match text.split_once(':') {
            Some((addresses, port)) if !port.contains(':') => (addresses, Some(parse_port(port)?)),
            _ => (text, None),
        };
        Ok(Entry { range: AddressRange::parse(addresses)?, port })
    }
}

fn parse_port(text: &str) -> Result<u16, TargetProblem> {
    // `parse` alone would take a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if is_number && port > 0 => Ok(port),
        _ => Err(TargetProblem::Port),
    }
}

/// Reads a list line by line.
#[derive(Debug)]
pub(super) struct Lines<R> {
    name: Arc<str>,
    reader: R,
    /// Number of the line read last, from 1.
    line: u64,
    /// The beginning of a line that the reader's buffer ended in.
    part: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(name: &str, reader: R) -> Lines<R> {
        Lines { name: name.into(), reader, line: 0, part: Vec::new(), ended: false }
    }

    /// The next line that is neither blank nor a comment.
    pub(super) fn next(&mut self) -> Option<Result<Entry, TargetError>> {
        while !self.ended {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.ended = true;
                    self.line += 1;
                    return Some(Err(self.error(&[], error.into())));
                }
            };
            if buffer.is_empty() {
                self.ended = true;
                if self.part.is_empty() {
                    return None;
                }
                self.line += 1;
                let line = std::mem::take(&mut self.part);
                return self.entry(without_mark(&line, self.line));
            }
            let Some(end) = memchr(b'\n', buffer) else {
                // One byte more than a line may have is enough to know that it is too long.
                let room = LINE_BYTES_MAX + 1 - self.part.len();
                self.part.extend_from_slice(&buffer[..buffer.len().min(room)]);
                let read = buffer.len();
                self.reader.consume(read);
                continue;
            };
            self.line += 1;
            let found = if self.part.is_empty() {
                let line = without_mark(&buffer[..end], self.line);
                let found = parse_line(line);
                found.map(|found| found.map_err(|problem| (shown(line), problem)))
            } else {
                let room = LINE_BYTES_MAX + 1 - self.part.len();
                self.part.extend_from_slice(&buffer[..end.min(room)]);
                let line = without_mark(&self.part, self.line);
                let found = parse_line(line);
                let found = found.map(|found| found.map_err(|problem| (shown(line), problem)));
                self.part.clear();
                found
            };
            self.reader.consume(end + 1);
            match found {
                Some(Ok(entry)) => return Some(Ok(entry)),
                Some(Err((text, problem))) => {
                    let (name, line) = (Arc::clone(&self.name), self.line);
                    return Some(Err(TargetError { name, line, text, problem }));
                }
                None => {}
            }
        }
        None
    }

    fn entry(&self, line: &[u8]) -> Option<Result<Entry, TargetError>> {
        parse_line(line).map(|found| found.map_err(|problem| self.error(line, problem)))
    }

    /// The error of the line read last.
    pub(super) fn error(&self, line: &[u8], problem: TargetProblem) -> TargetError {
        TargetError { name: Arc::clone(&self.name), line: self.line, text: shown(line), problem }
    }
}

/// The line without the byte order mark that some editors put before the first.
fn without_mark(line: &[u8], number: u64) -> &[u8] {
    if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }
}

/// What a line says; `None` for a blank one or a comment.
fn parse_line(line: &[u8]) -> Option<Result<Entry, TargetProblem>> {
    if line.len() > LINE_BYTES_MAX {
        return Some(Err(TargetProblem::TooLong));
    }
    let end = memchr(b'#', line).unwrap_or(line.len());
    let line = line[..end].trim_ascii();
    if line.is_empty() {
        return None;
    }
    Some(match std::str::from_utf8(line) {
        Ok(text) => Entry::parse(text),
        Err(_) => Err(TargetProblem::NotUtf8),
    })
}

/// The beginning of a line for people: one line, no control characters, bounded.
fn shown(line: &[u8]) -> String {
    let line = line.trim_ascii();
    let cut = line.len().min(SHOWN_BYTES_MAX);
    let text: String = String::from_utf8_lossy(&line[..cut]).escape_debug().collect();
    if cut < line.len() { text + "..." } else { text }
}

/// The targets of a list, one by one. After an error it goes on with the next line, so the caller
/// decides whether a bad line ends the run; an error in reading is the last item.
#[derive(Debug)]
pub struct TargetList<R> {
    lines: Lines<R>,
    default_port: Option<u16>,
    /// Whether there is a way to probe IPv4, and IPv6.
    can_probe: (bool, bool),
    rest: Rest,
}

/// What of a line is still to come.
#[derive(Copy, Clone, Debug)]
enum Rest {
    None,
    V4 { next: u32, last: u32, port: u16 },
    V6 { next: u128, last: u128, port: u16 },
}

impl TargetList<BufReader<Box<dyn Read + Send>>> {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, default_port: impl Into<Option<u16>>) -> Result<Self, TargetError> {
        let (name, reader): (String, Box<dyn Read + Send>) = if path.as_os_str() == "-" {
            ("stdin".to_owned(), Box::new(io::stdin()))
        } else {
            (path.display().to_string(), Box::new(open(path)?))
        };
        let reader = BufReader::with_capacity(READ_BYTES, reader);
        Ok(TargetList::new(&name, reader, default_port))
    }
}

impl<R: Read> TargetList<BufReader<R>> {
    /// The next target, if it is a plain line that was read already: the quick way through a long list.
    /// After `None`, `next` says what is there.
    pub fn next_plain(&mut self) -> Option<SocketAddr> {
        let Lines { reader, part, line, .. } = &mut self.lines;
        if !matches!(self.rest, Rest::None) || !part.is_empty() || !self.can_probe.0 {
            return None;
        }
        let plain = plain::read(reader.buffer())?;
        let port = plain.port.or(self.default_port)?;
        reader.consume(plain.bytes);
        *line += 1;
        Some(SocketAddr::new(plain.address.into(), port))
    }

    /// Whether the next item can be had without reading more input, which may block.
    pub fn is_at_hand(&self) -> bool {
        !matches!(self.rest, Rest::None) || memchr(b'\n', self.lines.reader.buffer()).is_some()
    }
}

/// Opens a list; the error names it.
pub(super) fn open(path: &Path) -> Result<File, TargetError> {
    File::open(path).map_err(|error| TargetError {
        name: path.display().to_string().into(),
        line: 0,
        text: String::new(),
        problem: error.into(),
    })
}

impl<R: BufRead> TargetList<R> {
    /// Reads from `reader`, which errors call `name`. Lines without a port get `default_port`; with
    /// `None` they are errors.
    pub fn new(name: &str, reader: R, default_port: impl Into<Option<u16>>) -> TargetList<R> {
        let default_port = default_port.into();
        let lines = Lines::new(name, reader);
        TargetList { lines, default_port, can_probe: (true, true), rest: Rest::None }
    }

    /// Says whether there is a way to probe IPv4, and IPv6; lines of a family without one are errors.
    pub fn with_families(mut self, ipv4: bool, ipv6: bool) -> TargetList<R> {
        self.can_probe = (ipv4, ipv6);
        self
    }
}

impl<R: BufRead> Iterator for TargetList<R> {
    type Item = Result<SocketAddr, TargetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match &mut self.rest {
                Rest::V4 { next, last, port } => {
                    let target = SocketAddr::new(Ipv4Addr::from_bits(*next).into(), *port);
                    if next == last {
                        self.rest = Rest::None;
                    } else {
                        *next += 1;
                    }
                    return Some(Ok(target));
                }
                Rest::V6 { next, last, port } => {
                    let target = SocketAddr::new(Ipv6Addr::from_bits(*next).into(), *port);
                    if next == last {
                        self.rest = Rest::None;
                    } else {
                        *next += 1;
                    }
                    return Some(Ok(target));
                }
                Rest::None => {}
            }
            let entry = match self.lines.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let Some(port) = entry.port.or(self.default_port) else {
                let text = entry.range.first().to_string();
                return Some(Err(self.lines.error(text.as_bytes(), TargetProblem::NoPort)));
            };
            let (ipv4, ipv6) = self.can_probe;
            if !(if entry.range.first().is_ipv4() { ipv4 } else { ipv6 }) {
                let text = entry.range.first().to_string();
                return Some(Err(self.lines.error(text.as_bytes(), TargetProblem::Family)));
            }
            self.rest = match (entry.range.first(), entry.range.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    Rest::V4 { next: first.to_bits(), last: last.to_bits(), port }
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    Rest::V6 { next: first.to_bits(), last: last.to_bits(), port }
                }
                // A range is of one family.
                _ => Rest::None,
            };
        }
    }
}

#[cfg(test)]
mod tests;
