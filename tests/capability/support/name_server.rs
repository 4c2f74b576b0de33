//! A name server of the test's own: it answers every question for A with one record and remembers
//! where each came from.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// One query as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) from: SocketAddr,
    pub(crate) query: Vec<u8>,
}

/// Serves until dropped.
#[derive(Debug)]
pub(crate) struct NameServer {
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Binds and serves.
    pub(crate) fn start(address: &str) -> NameServer {
        let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("an option");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (asked, stop) = (Arc::clone(&asked), Arc::clone(&stop));
            move || serve(&socket, &asked, &stop)
        });
        NameServer { asked, stop, thread: Some(thread) }
    }

    /// The queries so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("never poisoned").clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, asked: &Mutex<Vec<Asked>>, stop: &AtomicBool) {
    let mut bytes = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut bytes) else { continue };
        let query = bytes[..len].to_vec();
        if let Some(answer) = answer(&query) {
            asked.lock().expect("never poisoned").push(Asked { from, query });
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The question with QR set and one A record (RFC 1035, 4.1).
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let is_one_question = query.len() > 16 && query[4..12] == [0, 1, 0, 0, 0, 0, 0, 0];
    if !is_one_question {
        return None;
    }
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer[7] = 1;
    // A pointer to the name at offset 12, A, IN, a TTL of 60 and four bytes.
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    Some(answer)
}
