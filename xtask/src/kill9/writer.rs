//! The child: puts until it is killed, and says what was acknowledged.

use std::io::{self, Write};
use std::sync::Mutex;

use model::{GroupId, Name, VertexHash};
use ouroborosdb::{PutRequest, Session, Silent};

use super::items::{self, Ack};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::random::Random;

/// First line: the store is open.
pub(super) const OPENED: &str = "opened\n";
const THREADS: u64 = 3;
/// A bound for disks, far above what a round reaches before it is killed.
const PUTS_MAX: u64 = 3000;

/// Opens the store and ends: for kills in recovery.
pub(crate) fn run_opener(mut arguments: Arguments) -> Result<(), Failure> {
    let data = arguments.path()?;
    arguments.number("seed", 0)?;
    arguments.number("round", 0)?;
    arguments.end()?;
    super::open(&data).map(drop)
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let data = arguments.path()?;
    let seed = arguments.number("seed", 0)?;
    let round = arguments.number("round", 0)?;
    arguments.end()?;
    let database = super::open(&data)?;
    let mouth = Mutex::new(io::stdout());
    say(&mouth, OPENED)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let writer = Writer { session: &database, mouth: &mouth, seed, round, thread };
                scope.spawn(move || writer.write())
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a writer panicked"))
    })
}

/// One write call, so that a line is said whole or not at all.
fn say(mouth: &Mutex<io::Stdout>, line: &str) -> Result<(), Failure> {
    let mut out = mouth.lock().expect("saying a line does not panic");
    let said = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    said.map_err(Failure::at(std::path::Path::new("stdout")))
}

struct Writer<'a> {
    session: &'a dyn Session,
    mouth: &'a Mutex<io::Stdout>,
    seed: u64,
    round: u64,
    thread: u64,
}

impl Writer<'_> {
    fn write(&self) -> Result<(), Failure> {
        let mut random = Random::new(self.seed ^ (self.round << 8) ^ self.thread);
        for i in 0..PUTS_MAX {
            let here = format!("r{}/t{}", self.round, self.thread);
            let ack = match random.below(8) {
                0 => self.group(format!("{here}/g{i}"))?,
                1 => {
                    let name = format!("versions/t{}", self.thread);
                    let content = items::bytes(self.seed, &format!("{here}/{i}"));
                    let hash = self.put(&name, &content, PutRequest::default())?.to_string();
                    Ack::Version { name, hash }
                }
                _ => {
                    let name = format!("{here}/{i}");
                    let hash = self.put_item(&name, PutRequest::default())?.to_string();
                    Ack::Item { name, hash }
                }
            };
            say(self.mouth, &ack.line())?;
        }
        Ok(())
    }

    fn group(&self, name: String) -> Result<Ack, Failure> {
        let group = self.session.group(&name).map_err(Failure::database("group"))?;
        for member in items::members(&name) {
            let ack = ouroborosdb::Ack::Deferred;
            self.put_item(&member, PutRequest { group, ack, ..PutRequest::default() })?;
        }
        assert_ne!(group, GroupId::default(), "a group has an id");
        self.put_item(&name, PutRequest { closes: group, ..PutRequest::default() })?;
        Ok(Ack::Group { name })
    }

    fn put_item(&self, name: &str, request: PutRequest) -> Result<VertexHash, Failure> {
        self.put(name, &items::bytes(self.seed, name), request)
    }

    fn put(&self, name: &str, content: &[u8], request: PutRequest) -> Result<VertexHash, Failure> {
        let name = Name::new(name).expect("our names are good");
        let request = PutRequest { name: Some(name), ..request };
        let put = self.session.put(&request, &mut &*content, &Silent);
        Ok(put.map_err(Failure::database("put"))?.hash)
    }
}
