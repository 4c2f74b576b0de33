//! A file or standard output, written in large blocks of whole lines.
//!
//! Contract: callers append whole lines to [`Output::lines`] and then call [`Output::appended`].
//! A block goes out when it has grown past [`BLOCK_BYTES`] and always ends at the end of a line, so
//! whatever ends the program between two writes, the file ends with a whole record. When a write
//! fails half-way (a full disk), a regular file is cut back to its last whole line.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::path::Path;

use super::SinkError;

/// From this size on a block is written.
const BLOCK_BYTES: usize = 128 * 1024;

/// Where lines go.
#[derive(Debug)]
pub struct Output {
    name: String,
    file: File,
    /// Whole lines not yet written.
    lines: Vec<u8>,
    /// Records among them.
    pending_records: u64,
    /// Records that were written.
    written_records: u64,
}

impl Output {
    /// Standard output, unbuffered by anyone but us.
    ///
    /// # Errors
    /// Standard output is closed, or no descriptor is free.
    pub fn stdout() -> Result<Output, SinkError> {
        let name = "standard output".to_owned();
        match io::stdout().as_fd().try_clone_to_owned() {
            Ok(fd) => Ok(Output::on(name, fd.into())),
            Err(error) => Err(SinkError { name, records: 0, error }),
        }
    }

    /// A file, made or emptied.
    ///
    /// # Errors
    /// The file cannot be made or opened for writing.
    pub fn file(path: &Path) -> Result<Output, SinkError> {
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Output::on(name, file)),
            Err(error) => Err(SinkError { name, records: 0, error }),
        }
    }

    /// A file, made where there is none, and left as it is until [`Output::emptied`].
    ///
    /// # Errors
    /// The file cannot be made or opened for writing.
    pub fn existing(path: &Path) -> Result<Output, SinkError> {
        let name = path.display().to_string();
        match File::options().write(true).create(true).truncate(false).open(path) {
            Ok(file) => Ok(Output::on(name, file)),
            Err(error) => Err(SinkError { name, records: 0, error }),
        }
    }

    /// The same without what stood in the file.
    ///
    /// # Errors
    /// The file cannot be emptied.
    pub fn emptied(self) -> Result<Output, SinkError> {
        let is_file = self.file.metadata().is_ok_and(|metadata| metadata.is_file());
        match if is_file { self.file.set_len(0) } else { Ok(()) } {
            Ok(()) => Ok(self),
            Err(error) => Err(SinkError { name: self.name, records: 0, error }),
        }
    }

    /// An open file under a name for error messages.
    pub fn on(name: String, file: File) -> Output {
        Output {
            name,
            file,
            lines: Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 2),
            pending_records: 0,
            written_records: 0,
        }
    }

    /// How error messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The block being filled; append whole lines only.
    pub(crate) fn lines(&mut self) -> &mut Vec<u8> {
        &mut self.lines
    }

    /// Says how many records the lines just appended were; writes the block if it is large enough.
    pub(crate) fn appended(&mut self, records: u64) -> Result<(), SinkError> {
        self.pending_records += records;
        if self.lines.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes a text that is no record, and all that waited before it.
    ///
    /// # Errors
    /// The output did not take it.
    pub fn write_line(&mut self, text: &str) -> Result<(), SinkError> {
        self.lines.extend_from_slice(text.as_bytes());
        self.lines.push(b'\n');
        self.flush()
    }

    /// Appends a part of a text without records.
    ///
    /// # Errors
    /// The output did not take it.
    pub fn append(&mut self, text: &[u8]) -> Result<(), SinkError> {
        self.lines.extend_from_slice(text);
        self.appended(0)
    }

    /// Writes what was appended and is still held back.
    ///
    /// # Errors
    /// The output did not take it.
    pub fn end(mut self) -> Result<(), SinkError> {
        self.flush()
    }

    /// Writes what is there.
    pub(crate) fn flush(&mut self) -> Result<(), SinkError> {
        let mut written = 0;
        while written < self.lines.len() {
            match self.file.write(&self.lines[written..]) {
                Ok(0) => return Err(self.fail(written, io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(written, error)),
            }
        }
        self.lines.clear();
        self.written_records += self.pending_records;
        self.pending_records = 0;
        Ok(())
    }

    /// Only `written` bytes of the block went out: cut a file back to its last whole line.
    fn fail(&mut self, written: usize, error: io::Error) -> SinkError {
        let newline = |byte: &u8| *byte == b'\n';
        let whole = self.lines[..written].iter().rposition(newline).map_or(0, |last| last + 1);
        if written > whole {
            // A second refusal here changes nothing: the first one is reported either way.
            let _ = self.cut_back((written - whole) as u64);
        }
        let lost_lines = self.lines[whole..].iter().filter(|byte| newline(byte)).count() as u64;
        // Every record is a line of its own. Lines that are no records stand at the ends of the
        // output, so a block never loses more records than it had.
        self.written_records += self.pending_records.saturating_sub(lost_lines);
        self.pending_records = 0;
        self.lines.clear();
        SinkError { name: self.name.clone(), records: self.written_records, error }
    }

    fn cut_back(&mut self, bytes: u64) -> io::Result<()> {
        if self.file.metadata()?.is_file() {
            let end = self.file.stream_position()?;
            self.file.set_len(end.saturating_sub(bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn blocks_go_out_whole_and_the_rest_at_the_flush() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out");
        let mut output = Output::file(&path).expect("a file");
        let line = [b'x'; 99];
        for _ in 0..BLOCK_BYTES / 100 + 1 {
            output.lines().extend_from_slice(&line);
            output.lines().push(b'\n');
            output.appended(1).expect("room");
        }
        let first = fs::read(&path).expect("readable");
        assert!(first.len() >= BLOCK_BYTES && first.ends_with(b"\n"));
        output.lines().extend_from_slice(b"end\n");
        output.appended(1).expect("room");
        assert_eq!(fs::read(&path).expect("readable").len(), first.len(), "still held back");
        output.flush().expect("room");
        assert!(fs::read(&path).expect("readable").ends_with(b"\nend\n"));
    }

    #[test]
    fn what_stood_in_a_file_stays_until_there_is_something_better() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out");
        fs::write(&path, "a long text of yesterday").expect("room");
        let output = Output::existing(&path).expect("a file");
        assert_eq!(fs::read(&path).expect("readable"), b"a long text of yesterday");
        let mut output = output.emptied().expect("a file");
        output.append(b"today\n").expect("only buffered");
        output.end().expect("room");
        assert_eq!(fs::read(&path).expect("readable"), b"today\n");
        assert!(Output::existing(Path::new("/dev/null")).and_then(Output::emptied).is_ok());
    }

    #[test]
    fn a_full_disk_is_named_with_what_was_written() {
        let mut output = Output::file(Path::new("/dev/full")).expect("the device");
        output.lines().extend_from_slice(b"a record\n");
        output.appended(1).expect("only buffered");
        let error = output.flush().expect_err("the device is full");
        assert_eq!(
            error.to_string(),
            "cannot write to /dev/full: No space left on device (os error 28)"
        );
        assert!(!error.is_closed_pipe());
    }

    #[test]
    fn a_write_that_stops_half_way_leaves_whole_lines() {
        // RLIMIT_FSIZE would stop a write half-way but acts on the whole process; the cut is tested
        // on its own instead: the file holds what the kernel took, the block what was meant.
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out");
        let mut output = Output::file(&path).expect("a file");
        output.lines().extend_from_slice(b"header\n");
        output.appended(0).expect("only buffered");
        output.flush().expect("room");
        output.lines().extend_from_slice(b"one\ntwo\nthree\n");
        output.appended(3).expect("only buffered");
        output.file.write_all(b"one\ntw").expect("room");
        let error = output.fail(6, io::Error::from_raw_os_error(28));
        assert_eq!(error.records, 1);
        assert_eq!(fs::read(&path).expect("readable"), b"header\none\n");
    }
}
